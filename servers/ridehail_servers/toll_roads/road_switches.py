"""Switches orders' roads during the ride."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import Overloaded

from .price_resets import PriceResets
from .road_switch import Effect, RecordedRoads, RoadSwitch, check_order, effect_of
from .store import TollRoadsStore

# A switch that resets a price keeps its connection while order_core answers. At most so many at a time, so that an
# order_core that is slow does not take the whole pool from the lookups.
_RESETS_AT_ONCE = 2
_TURN_SHARE = 0.5
_MAX_TURN_S = 2.0


class RoadSwitches:
    """Takes riders' switches."""

    def __init__(self, database: Database, store: TollRoadsStore, prices: PriceResets) -> None:
        self._database = database
        self._store = store
        self._prices = prices
        self._resets = asyncio.Semaphore(_RESETS_AT_ONCE)

    async def switch(self, switch: RoadSwitch, *, yandex_uid: str) -> None:
        """Records a switch, and resets the order's price if the switch asks for that.

        Nothing is recorded of a switch that fails; whether the price is reset by then is found out when it is repeated.

        Args:
            switch: The switch.
            yandex_uid: The passenger who asks for it.

        Raises:
            OrderNotFound: The order is not known, here or in order_core, or not this passenger's.
            RoadSwitchNotAllowed: The order's road cannot be switched.
            RoadSwitchConflict: The order has a switch of the same moment to the other road.
            PriceChangesOutOfOrder: The price cannot be reset as of that moment.
            DependencyUnavailable: order_core does not answer.
            Overloaded: Too many switches wait for order_core.
        """
        async with self._order_of(switch, yandex_uid) as (connection, effect, _roads):
            if effect is Effect.RECORD:
                await self._record(connection, switch)
            if effect is not Effect.RESET_PRICE_AND_RECORD:
                return
        async with self._turn(), self._order_of(switch, yandex_uid) as (connection, effect, roads):
            if effect is Effect.RESET_PRICE_AND_RECORD:
                await self._prices.reset(switch.order_id, at=switch.created, first_road_at=roads.first_created)
            if effect is not Effect.NOTHING:
                await self._record(connection, switch)

    @asynccontextmanager
    async def _order_of(
        self, switch: RoadSwitch, yandex_uid: str
    ) -> AsyncIterator[tuple[Connection, Effect, RecordedRoads]]:
        """Judges the switch in a transaction that keeps every other switch of the order waiting until it ends."""
        async with self._database.transaction() as connection:
            order = check_order(
                switch, await self._store.lock_order(connection, switch.order_id), yandex_uid=yandex_uid
            )
            # A statement of its own: one that waits for a lock sees the rows as they were before it waited.
            roads = await self._store.recorded_roads(
                connection, switch.order_id, ordered=order.created, switched=switch.created
            )
            effect = effect_of(switch, roads)
            assert roads is not None
            yield connection, effect, roads

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(share_of_remaining(_TURN_SHARE, at_most=_MAX_TURN_S)):
                await self._resets.acquire()
        except TimeoutError:
            raise Overloaded("too many switches wait for order_core") from None
        try:
            yield
        finally:
            self._resets.release()

    async def _record(self, connection: Connection, switch: RoadSwitch) -> None:
        await self._store.insert_log_row(
            connection, switch.order_id, switch.created, has_toll_road=switch.has_toll_road
        )
