"""Deletes old rows: offers, and of the orders and changes of their road those that are in the archive.

Every batch is a short transaction that skips what others have locked, so runs do not get into each other's way, nor
into that of a rider who switches the road; the next run deletes what was skipped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.row_counts import RowCount

from .job import Cutoffs, JobStep, ReportProgress, RowOutcome, StepProgress
from .purge_store import MIN_TIMESTAMP, PurgeStore
from .rows import ArchivedTable

logger = get_logger(__name__)


class OfferPurgeJob:
    def __init__(self, database: Database, store: PurgeStore) -> None:
        self._database = database
        self._store = store

    async def due(self, cutoffs: Cutoffs, how: RowCount = RowCount.EXACT) -> dict[JobStep, int]:
        """Counts the rows that `run` would delete."""
        async with self._database.connection() as connection:
            return {JobStep.PURGE_OFFERS: await self._store.count_offers(connection, cutoffs.offers, how)}

    async def run(self, cutoffs: Cutoffs, throttle: BatchThrottle, report: ReportProgress) -> None:
        """Deletes the old offers."""
        since = MIN_TIMESTAMP
        while True:
            async with throttle.batch(), self._database.transaction() as connection:
                deleted, latest = await self._store.delete_offers(
                    connection, since, cutoffs.offers, throttle.batch_size
                )
            if latest is None:
                return
            since = latest
            report(StepProgress(JobStep.PURGE_OFFERS, RowOutcome.DELETED, deleted))


class OrderPurgeJob:
    """Deletes old changes, old orders, and old reports of orders that were refused."""

    def __init__(self, database: Database, store: PurgeStore) -> None:
        self._database = database
        self._store = store

    async def due(self, cutoffs: Cutoffs, how: RowCount = RowCount.EXACT) -> dict[JobStep, int]:
        """Counts the rows that `run` would delete; an estimate includes the few orders that are kept for a change."""
        before = cutoffs.orders
        async with self._database.connection() as connection:
            orders = await self._store.count_archived(connection, ArchivedTable.ORDERS, before, how)
            if how is RowCount.EXACT:
                orders -= await self._store.count_orders_with_kept_changes(connection, before)
            return {
                JobStep.PURGE_LOG: await self._store.count_archived(connection, ArchivedTable.LOG, before, how),
                JobStep.PURGE_ORDERS: orders,
                JobStep.PURGE_SAVE_REQUESTS: await self._store.count_refused_saves(connection, before, how),
            }

    async def run(self, cutoffs: Cutoffs, throttle: BatchThrottle, report: ReportProgress) -> None:
        """Deletes what is old and, if it is a change or an order, in the archive; reports also what is kept."""
        before, limit = cutoffs.orders, throttle.batch_size
        for batch in await self._written_batches(ArchivedTable.LOG, before):
            delete = partial(self._store.delete_log_rows, batch=batch, before=before, limit=limit)
            await self._purge(JobStep.PURGE_LOG, delete, throttle, report)
        await self._conclude(ArchivedTable.LOG, JobStep.PURGE_LOG, before, report)
        for batch in await self._written_batches(ArchivedTable.ORDERS, before):
            delete = partial(self._delete_orders, batch=batch, before=before, limit=limit)
            await self._purge(JobStep.PURGE_ORDERS, delete, throttle, report)
        await self._conclude(ArchivedTable.ORDERS, JobStep.PURGE_ORDERS, before, report)
        delete = partial(self._store.delete_refused_saves, before=before, limit=limit)
        await self._purge(JobStep.PURGE_SAVE_REQUESTS, delete, throttle, report)

    async def _delete_orders(self, connection: Connection, batch: int, before: datetime, limit: int) -> int:
        locked = await self._store.lock_finished_orders(connection, batch, before, limit)
        return await self._store.delete_orders(connection, locked) if locked else 0

    async def _written_batches(self, table: ArchivedTable, before: datetime) -> list[int]:
        async with self._database.connection() as connection:
            return await self._store.written_batches(connection, table, before)

    async def _purge(
        self,
        step: JobStep,
        delete_batch: Callable[[Connection], Awaitable[int]],
        throttle: BatchThrottle,
        report: ReportProgress,
    ) -> None:
        while True:
            async with throttle.batch(), self._database.transaction() as connection:
                deleted = await delete_batch(connection)
            if not deleted:
                return
            report(StepProgress(step, RowOutcome.DELETED, deleted))

    async def _conclude(self, table: ArchivedTable, step: JobStep, before: datetime, report: ReportProgress) -> None:
        """Reports what is old and kept all the same: not in the archive, with changes that stay, or locked now."""
        async with self._database.connection() as connection:
            await self._store.delete_empty_batches(connection, table, before)
            unarchived = await self._store.count_unarchived(connection, table, before)
            kept = unarchived + await self._store.count_archived(connection, table, before, RowCount.EXACT)
        if unarchived:
            logger.warning("old rows are kept: they are not in the archive", table=table.value, rows=unarchived)
        report(StepProgress(step, RowOutcome.KEPT, kept))
