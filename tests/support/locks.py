"""Statements that hang for as long as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql


@dataclass(frozen=True)
class HeldLock:
    connection: psycopg.AsyncConnection
    database_url: str

    async def waiting(self) -> list[int]:
        return await waiting_for_locks(self.database_url)

    async def release(self) -> None:
        await self.connection.rollback()


async def waiting_for_locks(database_url: str) -> list[int]:
    """Returns the server processes of a database that wait for a lock."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return [row[0] for row in await cursor.fetchall()]


@asynccontextmanager
async def locked_table(database_url: str, table: str) -> AsyncIterator[HeldLock]:
    """Makes every statement on a table hang, for the length of the block or until the lock is released."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(
            sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(*table.split(".")))
        )
        yield HeldLock(connection, database_url)
