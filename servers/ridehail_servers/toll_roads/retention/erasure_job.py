"""Erases orders of erased users from the archive: those of all users together, since each day is written anew.

Safe if killed at any step, and to repeat. Rows that a run of the archive job had read before they were erased from the
database are in the archive before this job has the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger

from .archive import ArchiveTable, in_thread, open_archive_table
from .archive_store import ArchiveStore, archive_lock
from .erasure_store import ErasureStore
from .rows import ArchivedTable

BATCH: Final = 500
"""Orders that are erased at once."""

# A repeat within this time finds that an order is erased.
_HASHES_KEPT: Final = timedelta(days=7)

logger = get_logger(__name__)


class ErasureJob:
    def __init__(
        self,
        database: Database,
        store: ErasureStore,
        archive_url: str | None,  # see `chassis.folder_url`
        clock: Clock,
        *,
        open_table: Callable[[str, ArchivedTable], ArchiveTable] = open_archive_table,
    ) -> None:
        self._database = database
        self._store = store
        self._archive_url = archive_url
        self._clock = clock
        self._open_table = open_table

    async def run(self) -> bool:
        """Erases all that is due, or returns False if the archive is in use: then the next run does.

        Raises:
            ArchiveFailed: The archive cannot be written.
        """
        if not await self._next():
            await self._delete_old()
            return True
        async with archive_lock(self._database, ArchiveStore()) as is_ours:
            if not is_ours:
                return False
            while due := await self._next():
                if self._archive_url is not None:
                    for table in ArchivedTable:
                        archive = self._open_table(self._archive_url, table)
                        await in_thread(archive, archive.erase, set(due.values()))
                async with self._database.connection() as connection:
                    await self._store.end_erasures(connection, due.keys())
                logger.info("orders erased from the archive", orders=len(due))
        return True

    async def _next(self) -> dict[bytes, str]:
        async with self._database.connection() as connection:
            return await self._store.open_erasures(connection, BATCH)

    async def _delete_old(self) -> None:
        deleted = BATCH
        while deleted == BATCH:
            async with self._database.transaction() as connection:
                deleted = await self._store.delete_old(connection, self._clock() - _HASHES_KEPT, BATCH)
