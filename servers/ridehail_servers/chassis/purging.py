"""Deletes rows in batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from .database import Connection, Database

Delete = Callable[[Connection, datetime, int], Awaitable[int]]
"""Deletes at most as many rows as given that are older than a timestamp; returns how many."""


async def delete_in_batches(database: Database, delete: Delete, before: datetime, batch: int) -> int:
    """Deletes rows that are older than a timestamp, each batch by a transaction of its own; returns how many.

    What was deleted before a failure of the database stays deleted. A batch that is not full is the last one: rows that
    others have locked are left to the next run.
    """
    deleted = 0
    while True:
        async with database.transaction() as connection:
            rows = await delete(connection, before, batch)
        deleted += rows
        if rows < batch:
            return deleted
