"""Copies old rows to the archive, each once, whatever happens meanwhile.

A batch of rows goes through three steps, of which each can be repeated: it is assigned (a transaction of the database),
written (a commit of the archive), and marked as written (a transaction again). A crash between two steps leaves an
open batch; the next run completes it. One run at a time holds a lock; should it be lost with its connection, the open
batch's uniqueness and the archive's own check still keep two runs from doing anything twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.row_counts import RowCount

from .archive import ArchiveAhead, ArchiveTable, in_thread, open_archive_table
from .archive_store import ArchiveStore, archive_lock
from .job import Cutoffs, JobStep, ReportProgress, RowOutcome, StepProgress
from .purge_store import MIN_TIMESTAMP
from .rows import ArchivedTable

logger = get_logger(__name__)

STEPS = {ArchivedTable.ORDERS: JobStep.ARCHIVE_ORDERS, ArchivedTable.LOG: JobStep.ARCHIVE_LOG}


class ArchiveJob:
    def __init__(
        self,
        database: Database,
        store: ArchiveStore,
        archive_url: str,  # see `chassis.folder_url`
        clock: Clock,
        *,
        open_table: Callable[[str, ArchivedTable], ArchiveTable] = open_archive_table,
    ) -> None:
        self._database = database
        self._store = store
        self._archive_url = archive_url
        self._clock = clock
        self._open_table = open_table

    async def due(self, cutoffs: Cutoffs, how: RowCount = RowCount.EXACT) -> dict[JobStep, int]:
        """Counts the rows that `run` would archive."""
        async with self._database.connection() as connection:
            return {
                STEPS[table]: await self._store.count_due(connection, table, cutoffs.archive, how)
                for table in ArchivedTable
            }

    async def run(self, cutoffs: Cutoffs, throttle: BatchThrottle, report: ReportProgress) -> bool:
        """Archives all that is due, or returns False if another run is archiving.

        Raises:
            ArchiveFailed: The archive cannot be written; what was reported is there.
        """
        async with archive_lock(self._database, self._store) as is_ours:
            if not is_ours:
                logger.info("another run is archiving")
                return False
            for table in ArchivedTable:
                # Not shared with an earlier run: its thread may still be writing after its task was cancelled.
                archive = self._open_table(self._archive_url, table)
                await _TableRun(self._database, self._store, self._clock, table, archive).run(
                    cutoffs.archive, throttle, report
                )
                await in_thread(archive, archive.tidy)
            return True


class _TableRun:
    """One run over one table."""

    def __init__(
        self, database: Database, store: ArchiveStore, clock: Clock, table: ArchivedTable, archive: ArchiveTable
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._table = table
        self._archive = archive
        # The archive's last batch, and where the search for rows continues: older rows are done.
        self._last = 0
        self._since = MIN_TIMESTAMP

    async def run(self, before: datetime, throttle: BatchThrottle, report: ReportProgress) -> None:
        self._last = await in_thread(self._archive, self._archive.last_batch)
        while True:
            async with throttle.batch():
                async with self._database.connection() as connection:
                    batch = await self._store.open_batch(connection, self._table)
                if batch is None:
                    batch = await self._assign(before, throttle.batch_size)
                if batch is None:
                    return
                await self._archive_batch(batch, report)

    async def _archive_batch(self, batch: int, report: ReportProgress) -> None:
        rows = await self._write(batch)
        if rows is None:
            # Its rows are in no batch now, and as old as they were.
            self._last, self._since = await in_thread(self._archive, self._archive.last_batch), MIN_TIMESTAMP
        else:
            self._last = batch
            report(StepProgress(STEPS[self._table], RowOutcome.ARCHIVED, rows))

    async def _assign(self, before: datetime, batch_size: int) -> int | None:
        """Opens a batch of rows, or returns None if there are none left."""
        async with self._database.transaction() as connection:
            batch = await self._store.insert_batch(connection, self._table, self._last)
            if batch is None:  # a run that lost its lock has just opened one
                return await self._store.open_batch(connection, self._table)
            assigned = await self._store.assign_rows(
                connection, self._table, batch, since=self._since, before=before, limit=batch_size
            )
            if assigned.oldest is None or assigned.latest is None:
                await self._store.delete_open_batch(connection, self._table, batch)
                return None
            await self._store.note_oldest(connection, self._table, batch, assigned.oldest)
            self._since = assigned.latest
            return batch

    async def _write(self, batch: int) -> int | None:
        """Writes an open batch to the archive; returns the number of its rows, or None if it had to be given up."""
        async with self._database.connection() as connection:
            rows = await self._store.batch_rows(connection, self._table, batch)
        try:
            await in_thread(self._archive, self._archive.write, batch, rows)
        except ArchiveAhead:
            await self._give_up(batch)
            return None
        async with self._database.connection() as connection:
            await self._store.mark_written(connection, self._table, batch, self._clock())
        return len(rows)

    async def _give_up(self, batch: int) -> None:
        """Releases the rows of a batch for later ones: better twice in the archive than never.

        This happens only to a database that was restored to an earlier state, or that shares its archive with another.
        """
        logger.error("the archive is ahead of the database", table=self._table.value, batch=batch)
        async with self._database.transaction() as connection:
            if await self._store.delete_open_batch(connection, self._table, batch):
                await self._store.release_rows(connection, self._table, batch)
