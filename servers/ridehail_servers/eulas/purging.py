"""Deletes decisions that expired long ago. The log of decisions keeps them.

Every batch is a short transaction that skips what others have locked, so any number of runs share the work, and no save
waits for more than a batch; what was skipped is left for the next run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ridehail_servers.chassis.database import Database

from .purge_store import EVER, PurgeStore

BATCH = 5_000
"""Rows of one transaction."""

Report = Callable[[int], None]
"""Told how many rows have been deleted so far, after each transaction."""


class Purge:
    """The job that deletes expired decisions."""

    def __init__(self, database: Database, store: PurgeStore, *, batch_size: int = BATCH) -> None:
        """Takes what it needs.

        Args:
            database: Of eulas.
            store: Its SQL.
            batch_size: Rows of one transaction, at least 1.
        """
        self._database = database
        self._store = store
        self._batch_size = batch_size

    async def due(self, before: datetime) -> int:
        """Counts the rows that `run` would delete.

        Args:
            before: See `run`.
        """
        async with self._database.connection() as connection:
            return await self._store.count_expired(connection, before)

    async def run(self, before: datetime, report: Report) -> int:
        """Deletes the decisions that expired before a moment.

        Args:
            before: The moment; aware. One that expired just then stays.
            report: Told of every batch.

        Returns:
            How many were deleted.

        Raises:
            DatabaseUnavailable: The database failed. What was reported is deleted.
        """
        deleted, since = 0, EVER
        while True:
            async with self._database.transaction() as connection:
                purged = await self._store.delete_expired(connection, since, before, self._batch_size)
            if purged.latest is None:
                return deleted
            since = purged.latest
            deleted += purged.rows
            report(deleted)
