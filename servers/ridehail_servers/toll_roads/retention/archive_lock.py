"""Keeps a second run from archiving beside the first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import DatabaseUnavailable

from .archive_store import ArchiveStore


@asynccontextmanager
async def archive_lock(database: Database, store: ArchiveStore) -> AsyncIterator[bool]:
    """Takes the lock for the length of the block; yields whether it was free.

    The lock belongs to a connection of its own, so it ends with the block, however that ends.

    Args:
        database: Of toll_roads.
        store: Its SQL.

    Raises:
        DatabaseUnavailable: The database gives no connection.
    """
    try:
        connection = await database.connect()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable from error
    async with connection:
        is_ours = await store.try_lock(connection)
        try:
            yield is_ours
        finally:
            # The end of the connection does it as well, but only a moment after we have hung up.
            with suppress(psycopg.Error):
                await store.unlock(connection)
