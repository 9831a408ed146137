"""The writable server is another one now: every role moves to it, also from a server that only hangs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from psycopg import conninfo

from ridehail_servers.chassis import connection_pool
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DatabaseUnavailable
from tests.support.databases import opened
from tests.support.suite_in_process import until
from tests.support.tcp_proxy import Mode, TcpProxy, postgres_target, tcp_proxy

NAME = "trial"
# A hung statement is given up after this long and a second.
HASTY = {"statement_timeout_ms": 200, "min_size": 2}


@asynccontextmanager
async def two_servers(database_url: str) -> AsyncIterator[tuple[TcpProxy, TcpProxy, str]]:
    """Yields the old primary, the new one, and the URL that names both; the old one comes first."""
    target = postgres_target(database_url)
    with tcp_proxy(target) as old, tcp_proxy(target) as new:
        hosts, ports = "127.0.0.1,127.0.0.1", f"{old.port},{new.port}"
        yield old, new, conninfo.make_conninfo(database_url, host=hosts, port=ports)


async def port_of(database: Database) -> int:
    async with database.connection() as connection:
        await connection.execute("SELECT 1")
        return connection.info.port


async def moved(database: Database, new: TcpProxy) -> bool:
    try:
        return await port_of(database) == new.port
    except DatabaseUnavailable:
        return False


@pytest.mark.parametrize("mode", [Mode.HANG, Mode.BLACKHOLE, Mode.REFUSE])
async def test_calls_move_to_the_new_primary(database_url: str, mode: Mode) -> None:
    async with two_servers(database_url) as (old, new, url), opened(url, **HASTY) as database:
        assert await port_of(database) == old.port
        old.set(mode)
        await until(lambda: moved(database, new))


async def test_idle_connections_move_without_any_call(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pool, "_CHECK_INTERVAL_S", 0.05)
    monkeypatch.setattr(connection_pool, "_CHECK_S", 0.2)
    async with two_servers(database_url) as (old, new, url), opened(url, **HASTY) as database:
        await until(lambda: database.stats()["pool_available"] == 2)
        old.set(Mode.HANG)
        await until(lambda: new.connections == 2)
        assert database.reachable


async def take_out_of_use(connection: Connection) -> None:
    """Makes the server report on this connection what it reports once an operator has made it read-only."""
    await connection.execute("SET default_transaction_read_only = on")


async def test_a_connection_to_a_server_that_has_become_read_only_is_not_lent_again(database_url: str) -> None:
    async with opened(database_url, max_size=1) as database:
        async with database.connection() as connection:
            await take_out_of_use(connection)
            backend = connection.info.backend_pid
        async with database.transaction() as connection:
            assert connection.info.backend_pid != backend
            await connection.execute("INSERT INTO toll_roads.offers VALUES ('offer', now())")


async def test_a_write_that_a_read_only_server_refuses_means_that_the_database_is_unavailable(
    database_url: str,
) -> None:
    async def write_to_a_standby() -> None:
        async with database.transaction() as connection:
            await connection.execute("SET TRANSACTION READ ONLY")
            await connection.execute("INSERT INTO toll_roads.offers VALUES ('offer', now())")

    async with opened(database_url, max_size=1) as database:
        before = await backend_of(database)
        with pytest.raises(DatabaseUnavailable):
            await write_to_a_standby()
        assert await backend_of(database) != before


async def backend_of(database: Database) -> int:
    async with database.connection() as connection:
        return connection.info.backend_pid
