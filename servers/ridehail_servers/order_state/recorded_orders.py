"""What is stored of riders' orders."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.shared_reads import SharedReads

from .metrics import UNRECORDED
from .orders import ActiveOrder, RecordedOrder
from .store import OrderStateStore

# A poll waits this long at most for what it stores for the next one, and no longer than for this share of its time.
_RECORD_S = 0.2
_RECORD_SHARE = 0.5

logger = get_logger(__name__)


class RecordedOrders:
    """Reads and writes; concurrent reads share their queries.

    Nothing is cached: a lookup is answered by a query that began after it, so it sees all that was reported before.
    """

    def __init__(self, database: Database, store: OrderStateStore, clock: Clock) -> None:
        """Takes what it needs.

        Args:
            database: Of order_state.
            store: Its SQL.
            clock: Tells the time.
        """
        self._database = database
        self._store = store
        self._clock = clock
        self._orders = SharedReads(database, store.orders_of)

    async def of_rider(self, yandex_uid: str) -> Sequence[RecordedOrder]:
        """Returns all that is stored of a rider's orders.

        Args:
            yandex_uid: The rider.
        """
        return await self._orders.get(yandex_uid) or ()

    async def record(self, service: str, yandex_uid: str, orders: Sequence[ActiveOrder]) -> None:
        """Stores what a service listed, as far as it is newer. A failure is counted, and nothing else.

        Args:
            service: The service.
            yandex_uid: The rider.
            orders: Numbered ones, each once.
        """
        try:
            async with (
                asyncio.timeout(share_of_remaining(_RECORD_SHARE, at_most=_RECORD_S)),
                self._database.connection() as connection,
            ):
                await self._store.record_listed(connection, service, yandex_uid, orders, self._clock())
        except Exception as error:  # the app has its answer, whatever becomes of what the next poll could use
            UNRECORDED.labels(service).inc()
            logger.warning("listed orders not recorded", provider=service, error=type(error).__name__)
