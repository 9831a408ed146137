"""What Postgres counts of the reads of tables."""

from __future__ import annotations

from typing import Any

import psutil
import psycopg

from .waiting import until


async def counted(database_url: str, query: str) -> tuple[Any, ...]:
    """Returns the only row of a query on Postgres' statistics, in which all is counted that was done before.

    A session passes on what it has counted at its end, or else when it likes to: so every other session of the database
    is ended first. Pools notice when they lend a connection, and make another.
    """
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        ended = await connection.execute(
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        pids = [pid for pid, _ in await ended.fetchall()]
        # A session that has left the statistics still holds its socket for a moment, and would be lent once more.
        await until(lambda: not any(map(psutil.pid_exists, pids)))
        row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return row
