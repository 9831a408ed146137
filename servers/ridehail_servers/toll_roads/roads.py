"""Which road an order goes by."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DependencyUnavailable, OrderNotFound
from ridehail_servers.chassis.shared_reads import SharedReads

from .road import Road
from .store import TollRoadsStore

# Looking orders up one by one at a neighbour is slow; this many at a time keep a batch of 1000 within its deadline.
_NEIGHBOUR_CALLS = 32


class OrderOffers(Protocol):
    """Knows which offer an order was made from."""

    async def offer_of(self, order_id: str) -> str | None:
        """Returns the order's offer; None when the order has none.

        Raises:
            OrderNotFound: There is no such order.
            DependencyUnavailable: It cannot be told now.
        """


class RoadsByOrder:
    """Answers from the orders that are saved here; concurrent questions share their queries."""

    def __init__(self, database: Database, store: TollRoadsStore) -> None:
        self._store = store
        self._roads = SharedReads(database, self._latest)

    async def road_of(self, order_id: str) -> Road:
        """Returns the road of the order's latest change by `created`.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: The order is not saved, or has no change.
        """
        road = await self._roads.get(order_id)
        if road is None:
            raise OrderNotFound(order_id)
        return road

    async def roads_of(self, order_ids: Sequence[str]) -> list[Road]:
        """Returns the roads of those orders that have one, in the order of the ids, each once.

        Args:
            order_ids: The orders.
        """
        found = await self._roads.get_all(order_ids)
        return [found[order_id] for order_id in dict.fromkeys(order_ids) if order_id in found]

    async def _latest(self, connection: Connection, order_ids: Sequence[str]) -> dict[str, Road]:
        roads = await self._store.latest_roads(connection, order_ids)
        return {road.order_id: road for road in roads}


class RoadsByOffer:
    """Answers by the orders' offers, for as long as orders are not reported to this service (the first stage)."""

    def __init__(self, database: Database, store: TollRoadsStore, offers: OrderOffers) -> None:
        self._database = database
        self._store = store
        self._offers = offers

    async def road_of(self, order_id: str) -> Road:
        """Returns whether the order's offer is a toll-road one; the road cannot be switched.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: order_core has no such order.
            DependencyUnavailable: order_core does not answer.
        """
        roads = await self.roads_of([order_id])
        if not roads:
            raise OrderNotFound(order_id)
        return roads[0]

    async def roads_of(self, order_ids: Sequence[str]) -> list[Road]:
        """Returns the roads of those orders that exist, in the order of the ids, each once.

        Args:
            order_ids: The orders.

        Raises:
            DependencyUnavailable: order_core does not answer.
        """
        offers = await self._offers_of(order_ids)
        wanted = [offer for offer in offers.values() if offer is not None]
        stored = await self._database.read(lambda connection: self._store.offers_among(connection, wanted))
        return [
            Road(order_id, has_toll_road=offer in stored, can_switch_road=False, created=None)
            for order_id, offer in offers.items()
        ]

    async def _offers_of(self, order_ids: Sequence[str]) -> dict[str, str | None]:
        turn = asyncio.Semaphore(_NEIGHBOUR_CALLS)
        offers: dict[str, str | None] = dict.fromkeys(order_ids)
        unknown: set[str] = set()
        failures: list[DependencyUnavailable] = []

        async def ask(order_id: str) -> None:
            async with turn:
                if failures:
                    return
                try:
                    offers[order_id] = await self._offers.offer_of(order_id)
                except OrderNotFound:
                    unknown.add(order_id)
                except DependencyUnavailable as failure:
                    failures.append(failure)

        # Those under way are let end: one may be the trial of an open breaker, which only an answer closes.
        async with asyncio.TaskGroup() as group:
            for order_id in list(offers):
                group.create_task(ask(order_id))
        if failures:
            raise failures[0]
        return {order_id: offer for order_id, offer in offers.items() if order_id not in unknown}
