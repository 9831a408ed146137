"""Deletes decisions that expired long ago. The log of decisions keeps them.

Every batch is a short transaction that skips what others have locked, so any number of runs share the work, and no save
waits for more than a batch; the next run deletes what was skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.row_counts import RowCount

from .store import MIN_TIMESTAMP, EulasStore

BATCH = 5_000
"""Rows of one transaction."""


class PurgeJob:
    """The job that deletes expired decisions."""

    def __init__(self, database: Database, store: EulasStore, *, batch_size: int = BATCH) -> None:
        self._database = database
        self._store = store
        self._batch_size = batch_size

    async def due(self, before: datetime, how: RowCount = RowCount.EXACT) -> int:
        """Counts the rows that `run` would delete."""
        async with self._database.connection() as connection:
            return await self._store.count_expired(connection, before, how)

    async def run(self, before: datetime, report: Callable[[int], None]) -> int:
        """Deletes the decisions with a `valid_till` before a timestamp; returns how many.

        Args:
            before: Aware.
            report: Called after each transaction with the number of rows deleted so far.
        """
        deleted, since = 0, MIN_TIMESTAMP
        while True:
            async with self._database.transaction() as connection:
                rows, latest = await self._store.delete_expired(connection, since, before, self._batch_size)
            if latest is None:
                return deleted
            since = latest
            deleted += rows
            report(deleted)
