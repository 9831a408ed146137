"""Reads and stores what providers list and report of riders' orders."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prometheus_client import Counter

from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.shared_reads import SharedReads

from .orders import ActiveOrder, RecordedOrders
from .report import OrderReport, state_after
from .store import OrderStateStore

# A poll waits this long at most for what it stores for the next one, and no longer than for this share of its time.
_RECORD_S = 0.2
_RECORD_SHARE = 0.5

UNRECORDED = Counter(
    "ridehail_order_state_unrecorded", "Lists of orders that could not be stored for the polls to come.", ("provider",)
)

logger = get_logger(__name__)


class OrderRecords:
    """What is stored of riders' orders. Concurrent reads share their queries.

    Nothing is cached: a lookup gets the result of a query that began after it, so it sees all that was reported before.
    """

    def __init__(self, database: Database, store: OrderStateStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._orders = SharedReads(database, store.orders_of)

    async def of_rider(self, yandex_uid: str) -> RecordedOrders:
        """Reads all that is stored of a rider's orders."""
        return await self._orders.get(yandex_uid) or {}

    async def record_listed(self, service: str, yandex_uid: str, orders: Sequence[ActiveOrder]) -> None:
        """Stores what a provider listed, as far as it is newer. A failure is counted, and nothing else.

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
        except Exception as error:  # the app has its response, whatever becomes of what the next poll could use
            UNRECORDED.labels(service).inc()
            logger.warning("listed orders not recorded", provider=service, error=type(error).__name__)

    async def record_report(self, report: OrderReport) -> bool:
        """Stores a report as far as it is newer, all of it or nothing; returns whether anything of it was.

        Raises:
            OrderOwnerMismatch: The order was reported as another rider's.
        """
        async with self._database.transaction() as connection:
            before = await self._store.lock_order(connection, report.key, report.yandex_uid, self._clock())
            after = state_after(report, before)
            if after != before:
                await self._store.save_state(connection, report.key, after)
            changed = await self._store.save_parts(connection, report.key, report.parts, report.sequence)
        return after != before or changed > 0
