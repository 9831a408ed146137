"""Deletes old rows: offers, and of the orders and changes of their road those that are in the archive.

Every batch is a short transaction that skips what others have locked, so runs do not get into each other's way, nor
into that of a rider who switches the road; what was skipped is left for the next run.
"""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger

from .cutoffs import Cutoffs
from .pace import Pace
from .progress import Outcome, Progress, Report, Step
from .rows import ArchivedTable
from .store import EVER, PurgeStore

logger = get_logger(__name__)


class OfferPurge:
    """The job that deletes old offers."""

    def __init__(self, database: Database, store: PurgeStore) -> None:
        self._database = database
        self._store = store

    async def due(self, cutoffs: Cutoffs) -> dict[Step, int]:
        """Counts the rows that `run` would delete."""
        async with self._database.connection() as connection:
            return {Step.PURGE_OFFERS: await self._store.count_offers(connection, cutoffs.offers)}

    async def run(self, cutoffs: Cutoffs, pace: Pace, report: Report) -> None:
        """Deletes the old offers.

        Args:
            cutoffs: What is old.
            pace: In which batches.
            report: Told of every batch.

        Raises:
            DatabaseUnavailable: The database failed.
        """
        since = EVER
        while True:
            async with pace.batch(), self._database.transaction() as connection:
                purged = await self._store.delete_offers(connection, since, cutoffs.offers, pace.batch_size)
            if purged.latest is None:
                return
            since = purged.latest
            report(Progress(Step.PURGE_OFFERS, Outcome.DELETED, purged.rows))


class OrderPurge:
    """The job that deletes old changes, old orders, and old reports of orders that were refused."""

    def __init__(self, database: Database, store: PurgeStore) -> None:
        self._database = database
        self._store = store

    async def due(self, cutoffs: Cutoffs) -> dict[Step, int]:
        """Counts the rows that `run` would delete."""
        before = cutoffs.orders
        async with self._database.connection() as connection:
            orders = await self._store.count_archived(connection, ArchivedTable.ORDERS, before)
            return {
                Step.PURGE_LOG: await self._store.count_archived(connection, ArchivedTable.LOG, before),
                Step.PURGE_ORDERS: orders - await self._store.count_orders_with_kept_changes(connection, before),
                Step.PURGE_SAVE_REQUESTS: await self._store.count_refused_saves(connection, before),
            }

    async def run(self, cutoffs: Cutoffs, pace: Pace, report: Report) -> None:
        """Deletes what is old and, if it is a change or an order, in the archive; tells what is kept.

        Args:
            cutoffs: What is old.
            pace: In which batches.
            report: Told of every batch, and of what is old but kept.

        Raises:
            DatabaseUnavailable: The database failed.
        """
        before = cutoffs.orders
        for batch in await self._written_batches(ArchivedTable.LOG, before):
            await self._purge_log(batch, before, pace, report)
        await self._conclude(ArchivedTable.LOG, Step.PURGE_LOG, before, report)
        for batch in await self._written_batches(ArchivedTable.ORDERS, before):
            await self._purge_orders(batch, before, pace, report)
        await self._conclude(ArchivedTable.ORDERS, Step.PURGE_ORDERS, before, report)
        await self._purge_refused_saves(before, pace, report)

    async def _written_batches(self, table: ArchivedTable, before: datetime) -> list[int]:
        async with self._database.connection() as connection:
            return await self._store.written_batches(connection, table, before)

    async def _purge_log(self, batch: int, before: datetime, pace: Pace, report: Report) -> None:
        while True:
            async with pace.batch(), self._database.transaction() as connection:
                deleted = await self._store.delete_log_rows(connection, batch, before, pace.batch_size)
            if not deleted:
                return
            report(Progress(Step.PURGE_LOG, Outcome.DELETED, deleted))

    async def _purge_orders(self, batch: int, before: datetime, pace: Pace, report: Report) -> None:
        while True:
            async with pace.batch(), self._database.transaction() as connection:
                locked = await self._store.lock_finished_orders(connection, batch, before, pace.batch_size)
                deleted = await self._store.delete_orders(connection, locked) if locked else 0
            if not deleted:
                return
            report(Progress(Step.PURGE_ORDERS, Outcome.DELETED, deleted))

    async def _purge_refused_saves(self, before: datetime, pace: Pace, report: Report) -> None:
        while True:
            async with pace.batch(), self._database.transaction() as connection:
                deleted = await self._store.delete_refused_saves(connection, before, pace.batch_size)
            if not deleted:
                return
            report(Progress(Step.PURGE_SAVE_REQUESTS, Outcome.DELETED, deleted))

    async def _conclude(self, table: ArchivedTable, step: Step, before: datetime, report: Report) -> None:
        """Tells what is old and kept all the same: not in the archive, with changes that stay, or locked just now."""
        async with self._database.connection() as connection:
            await self._store.delete_empty_batches(connection, table, before)
            unarchived = await self._store.count_unarchived(connection, table, before)
            kept = unarchived + await self._store.count_archived(connection, table, before)
        if unarchived:
            logger.warning("old rows are kept: they are not in the archive", table=table.value, rows=unarchived)
        report(Progress(step, Outcome.KEPT, kept))
