"""Follows what other processes change in the database: notifications say when to look, and a poll finds what they miss.

A notification is lost where a pooler gives the connection to others, and while the connection is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
from psycopg import sql

from .database import Connection, Database
from .logs import get_logger

logger = get_logger(__name__)

POLL_S = 0.5
"""How often a follower looks by itself: what is followed is seen within a second, also where notifications are lost."""

# How long to wait before a lost database is tried again.
_AGAIN_S = 0.5


async def follow(
    database: Database,
    channel: str,
    look: Callable[[Connection], Awaitable[None]],
    *,
    as_long_as: Callable[[], bool],
    poll_s: float = POLL_S,
) -> None:
    """Calls `look` at once, at each notification and every `poll_s` seconds, as long as a condition is true.

    It is called with a connection of its own, outside of the pool, one call at a time. While the database is away it is
    not called; once it is back, it is called before anything is waited for.
    """
    while as_long_as():
        try:
            await _follow(database, channel, look, as_long_as, poll_s)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            logger.warning("lost the connection that listens", error=type(error).__name__)
            await asyncio.sleep(_AGAIN_S)


async def _follow(
    database: Database,
    channel: str,
    look: Callable[[Connection], Awaitable[None]],
    as_long_as: Callable[[], bool],
    poll_s: float,
) -> None:
    connection = await database.connect()
    try:
        # Before the first look: what changes after it is notified of.
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        while as_long_as():
            await look(connection)
            async for _notification in connection.notifies(timeout=poll_s, stop_after=1):
                pass
    finally:
        await connection.close()
