"""A database behind two hosts, as an old primary and the new one after a failover."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import conninfo

from ridehail_servers.chassis.database import Database
from tests.support.tcp_proxy import TcpProxy, postgres_target, tcp_proxy


@asynccontextmanager
async def two_servers(database_url: str) -> AsyncIterator[tuple[TcpProxy, TcpProxy, str]]:
    """Yields the old primary, the new one, and the URL that names both; the old one comes first."""
    target = postgres_target(database_url)
    with tcp_proxy(target) as old, tcp_proxy(target) as new:
        hosts, ports = "127.0.0.1,127.0.0.1", f"{old.port},{new.port}"
        yield old, new, conninfo.make_conninfo(database_url, host=hosts, port=ports)


async def port_of(database: Database) -> int:
    """Returns the port that a call's connection goes to."""
    async with database.connection() as connection:
        await connection.execute("SELECT 1")
        return connection.info.port
