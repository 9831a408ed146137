"""Deletes old rides, and what the task insert_order has refused or never got to.

Every batch is a short transaction that skips what others have locked; what was skipped is left for the next run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task

from .purge_store import PurgeStore

BATCH: Final = 1_000
"""Rides of one transaction. Each may have more than a hundred phones, which go with it."""

TASK: Final = "route_sharing_purge"
_SCHEDULE: Final = "25 * * * *"

_Delete = Callable[[Connection, datetime, int], Awaitable[int]]

logger = get_logger(__name__)


class Purge:
    """The scheduled task."""

    def __init__(
        self, database: Database, store: PurgeStore, kept: Callable[[], timedelta], clock: Clock, *, batch: int = BATCH
    ) -> None:
        """Takes what it works with.

        Args:
            database: Of the service.
            store: Its statements.
            kept: Returns for how long rides are kept, at present.
            clock: Tells how old they are.
            batch: Rows of one transaction, at least 1.
        """
        self._database = database
        self._store = store
        self._kept = kept
        self._clock = clock
        self._batch = batch
        self.task = Task(TASK, self.run, schedule=_SCHEDULE)

    async def run(self, _at: int) -> None:
        """Deletes what is old.

        Raises:
            DatabaseUnavailable: The database failed. What was deleted before is deleted.
        """
        before = self._clock() - self._kept()
        rides = await self._delete_all(self._store.delete_rides, before)
        requests = await self._delete_all(self._store.delete_requests, before)
        logger.info("old rides purged", rides=rides, requests=requests)

    async def _delete_all(self, delete: _Delete, before: datetime) -> int:
        deleted = 0
        while True:
            async with self._database.transaction() as connection:
                rows = await delete(connection, before, self._batch)
            deleted += rows
            if rows < self._batch:
                return deleted
