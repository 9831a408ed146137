"""What can be done with the orders of a service."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import OrderOwnerMismatch
from ridehail_servers.chassis.json_limits import DetailsBudget

from .order_details import ActiveOrder, Order
from .store import OrderStore

MAX_LISTED: Final = 100
"""An answer lists at most so many orders."""


class Orders:
    """The orders of one service."""

    def __init__(self, *, database: Database, store: OrderStore, clock: Clock) -> None:
        """Takes what the orders are kept in.

        Args:
            database: Of the service.
            store: Its statements.
            clock: Tells when an order was put.
        """
        self._database = database
        self._store = store
        self._clock = clock

    async def put(self, order: Order) -> int:
        """Stores an order whole, in place of an older one, and returns its sequence, which every call raises by 1.

        Args:
            order: The order.

        Raises:
            OrderOwnerMismatch: The order is another passenger's; it stays as it is.
        """
        async with self._database.connection() as connection:
            sequence = await self._store.put_order(connection, order, self._clock())
        if sequence is None:
            raise OrderOwnerMismatch(order.orderid)
        return sequence

    async def list_active(self, yandex_uid: str) -> list[ActiveOrder]:
        """Returns a passenger's orders that are under way, the oldest first, at most MAX_LISTED.

        Args:
            yandex_uid: The passenger.
        """
        orders = await self._database.read(
            lambda connection: self._store.list_active(connection, yandex_uid, limit=MAX_LISTED)
        )
        budget = DetailsBudget()
        return [one if budget.take(one.details) else replace(one, details=None) for one in orders]
