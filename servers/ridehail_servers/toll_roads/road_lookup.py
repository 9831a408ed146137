"""Which road an order uses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DependencyUnavailable, OrderNotFound
from ridehail_servers.chassis.shared_reads import SharedReads

from .dependencies import OrderCore
from .store import Road, TollRoadsStore

# Keeps a batch of 1000 orders, each a call to order_core, within its deadline.
_MAX_CONCURRENT_CALLS = 32


class RoadsByOrder:
    """Looks up the latest change by `created` of the orders saved here; concurrent lookups share their queries.

    `road_of` raises `OrderNotFound` for an order without a road; `roads_of` omits it, and returns the others in the
    order of the ids, each once.
    """

    def __init__(self, database: Database, store: TollRoadsStore) -> None:
        self._store = store
        self._roads = SharedReads(database, self._latest)

    async def road_of(self, order_id: str) -> Road:
        road = await self._roads.get(order_id)
        if road is None:
            raise OrderNotFound(order_id)
        return road

    async def roads_of(self, order_ids: Sequence[str]) -> list[Road]:
        found = await self._roads.get_all(order_ids)
        return [found[order_id] for order_id in dict.fromkeys(order_ids) if order_id in found]

    async def _latest(self, connection: Connection, order_ids: Sequence[str]) -> dict[str, Road]:
        roads = await self._store.latest_roads(connection, order_ids)
        return {road.order_id: road for road in roads}


class RoadsByOffer:
    """Derives roads from the orders' offers, for as long as processing does not report orders (the first stage).

    An order whose offer is a toll-road one uses the toll road, and cannot be switched. The methods are those of
    `RoadsByOrder`; both raise `DependencyUnavailable` if order_core does not respond.
    """

    def __init__(self, database: Database, store: TollRoadsStore, order_core: OrderCore) -> None:
        self._database = database
        self._store = store
        self._order_core = order_core

    async def road_of(self, order_id: str) -> Road:
        roads = await self.roads_of([order_id])
        if not roads:
            raise OrderNotFound(order_id)
        return roads[0]

    async def roads_of(self, order_ids: Sequence[str]) -> list[Road]:
        offers = await self._offers_of(order_ids)
        wanted = [offer for offer in offers.values() if offer is not None]
        stored = await self._database.read(lambda connection: self._store.offers_among(connection, wanted))
        return [
            Road(order_id, has_toll_road=offer in stored, can_switch_road=False, created=None)
            for order_id, offer in offers.items()
        ]

    async def _offers_of(self, order_ids: Sequence[str]) -> dict[str, str | None]:
        turn = asyncio.Semaphore(_MAX_CONCURRENT_CALLS)
        offers: dict[str, str | None] = dict.fromkeys(order_ids)
        unknown: set[str] = set()
        failures: list[DependencyUnavailable] = []

        async def look_up(order_id: str) -> None:
            async with turn:
                if failures:
                    return
                try:
                    offers[order_id] = await self._order_core.offer_of(order_id)
                except OrderNotFound:
                    unknown.add(order_id)
                except DependencyUnavailable as failure:
                    failures.append(failure)

        # Calls under way are not cancelled: one may be the trial of an open breaker, which only a response closes.
        async with asyncio.TaskGroup() as group:
            for order_id in list(offers):
                group.create_task(look_up(order_id))
        if failures:
            raise failures[0]
        return {order_id: offer for order_id, offer in offers.items() if order_id not in unknown}


RoadLookup = RoadsByOrder | RoadsByOffer
