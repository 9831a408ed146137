"""Stores and lists a service's orders."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import OrderOwnerMismatch
from ridehail_servers.chassis.json_limits import DetailsBudget

from .order_details import ActiveOrder, Order
from .store import ProviderOrderStore

MAX_LISTED: Final = 100
"""Orders in one response."""


class ProviderOrders:
    """The orders of one service."""

    def __init__(self, *, database: Database, store: ProviderOrderStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def put(self, order: Order) -> int:
        """Stores an order in place of an older one, and returns its sequence, which every call raises by 1.

        Raises:
            OrderOwnerMismatch: The stored order belongs to another passenger, and stays as it is.
        """
        async with self._database.connection() as connection:
            sequence = await self._store.put_order(connection, order, self._clock())
        if sequence is None:
            raise OrderOwnerMismatch(order.orderid)
        return sequence

    async def list_active(self, yandex_uid: str) -> list[ActiveOrder]:
        """Returns a passenger's orders that have not ended, the oldest first, at most MAX_LISTED."""
        orders = await self._database.read(
            lambda connection: self._store.list_active(connection, yandex_uid, limit=MAX_LISTED)
        )
        budget = DetailsBudget()
        return [one if budget.take(one.details) else replace(one, details=None) for one in orders]
