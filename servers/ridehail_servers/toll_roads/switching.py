"""Switches the road of an order during the ride."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import Overloaded

from .dependencies import OrderCore
from .road_switch import Effect, RecordedRoads, RoadSwitch, check_order, effect_of
from .store import TollRoadsStore

# A switch that resets a price holds its connection while it waits for order_core. The limit keeps a slow order_core
# from taking the whole pool from the lookups.
_MAX_CONCURRENT_RESETS = 2
_TURN_SHARE = 0.5
_MAX_TURN_S = 2.0


class RoadSwitching:
    def __init__(self, database: Database, store: TollRoadsStore, order_core: OrderCore) -> None:
        self._database = database
        self._store = store
        self._order_core = order_core
        self._resets = asyncio.Semaphore(_MAX_CONCURRENT_RESETS)

    async def switch(self, switch: RoadSwitch, *, yandex_uid: str) -> None:
        """Records a switch, and resets the order's price if the switch requires it.

        A switch that fails is not recorded; its repeat detects whether the price is reset already.

        Args:
            switch: The switch.
            yandex_uid: The passenger who makes it.

        Raises:
            OrderNotFound: The order is unknown, here or in order_core, or another passenger's.
            RoadSwitchNotAllowed: The order's road cannot be switched.
            RoadSwitchConflict: The order has a switch to the other road with the same `created`.
            PriceChangesOutOfOrder: The price was changed at `created` or later.
            DependencyUnavailable: order_core does not respond.
            Overloaded: Too many switches wait for order_core.
        """
        async with self._locked(switch, yandex_uid) as (connection, effect, roads):
            if effect is not Effect.RESET_PRICE_AND_RECORD:
                await self._make(connection, switch, effect, roads)
                return
            if not self._resets.locked():
                async with self._resets:
                    await self._make(connection, switch, effect, roads)
                return
        # It waits without a connection and without the lock, so it has to look again.
        async with self._reset_turn(), self._locked(switch, yandex_uid) as (connection, effect, roads):
            await self._make(connection, switch, effect, roads)

    @asynccontextmanager
    async def _locked(
        self, switch: RoadSwitch, yandex_uid: str
    ) -> AsyncIterator[tuple[Connection, Effect, RecordedRoads]]:
        """Decides on the switch in a transaction that every other switch of the order waits for."""
        async with self._database.transaction() as connection:
            order = check_order(
                switch, await self._store.lock_order(connection, switch.order_id), yandex_uid=yandex_uid
            )
            # A statement of its own: one that waits for a lock sees the rows as they were before it waited.
            roads = await self._store.recorded_roads(
                connection, switch.order_id, created=switch.created, order_created=order.created
            )
            effect = effect_of(switch, roads)
            assert roads is not None
            yield connection, effect, roads

    @asynccontextmanager
    async def _reset_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(share_of_remaining(_TURN_SHARE, at_most=_MAX_TURN_S)):
                await self._resets.acquire()
        except TimeoutError:
            raise Overloaded("too many switches wait for order_core") from None
        try:
            yield
        finally:
            self._resets.release()

    async def _make(self, connection: Connection, switch: RoadSwitch, effect: Effect, roads: RecordedRoads) -> None:
        if effect is Effect.RESET_PRICE_AND_RECORD:
            await self._order_core.reset_price(
                switch.order_id, created=switch.created, first_created=roads.first_created
            )
        if effect is not Effect.NOTHING:
            await self._store.insert_log_row(
                connection, switch.order_id, switch.created, has_toll_road=switch.has_toll_road
            )
