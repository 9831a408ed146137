"""The writable server is another one now: every role moves to it, also from a server that only hangs."""

from __future__ import annotations

import asyncio
import gc

import psutil
import psycopg
import pytest
from psycopg import conninfo

from ridehail_servers.chassis import connection_pool, tasks
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.database_connection import BoundedConnection
from ridehail_servers.chassis.errors import DatabaseUnavailable, Overloaded
from ridehail_servers.chassis.settings import TaskSettings
from ridehail_servers.chassis.tasks import Task, TaskQueue
from tests.support.databases import opened
from tests.support.tcp_proxy import Mode, TcpProxy, postgres_target, tcp_proxy, through
from tests.support.two_hosts import port_of, two_servers
from tests.support.waiting import LIMIT_S, until

NAME = "trial"
# A hung statement is given up after this long and a second.
HASTY = {"statement_timeout_ms": 1000, "min_size": 2}


@pytest.fixture
def database_url(reused_database_url: str) -> str:
    return reused_database_url


async def moved(database: Database, new: TcpProxy) -> bool:
    try:
        return await port_of(database) == new.port
    except (DatabaseUnavailable, Overloaded):  # all connections may still be in use by calls to the old one
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


async def test_a_host_that_hangs_is_not_tried_again_while_another_can_be_written_to(database_url: str) -> None:
    async with two_servers(database_url) as (old, new, url), opened(url, **HASTY) as database:
        old.set(Mode.HANG)
        await until(lambda: moved(database, new))
        tried = old.accepted
        for _ in range(3):
            (await database.connect()).discard()
        assert old.accepted == tried


@pytest.fixture
def quick_collections() -> None:
    """Lets `gc.collect` pass over what the process has so far, which would take half a second of a loop, each time."""
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("mode", [Mode.HANG, Mode.BLACKHOLE])
async def test_a_task_worker_moves_with_all_its_connections(
    database_url: str, mode: Mode, monkeypatch: pytest.MonkeyPatch, quick_collections: None
) -> None:
    monkeypatch.setattr(tasks, "_RECONNECT_S", 0.1)
    done: list[int] = []

    async def run(subject: int) -> None:
        async with database.connection() as connection:
            await connection.execute("SELECT 1")
        done.append(subject)

    async with two_servers(database_url) as (old, _new, url), opened(url, **HASTY) as database:
        queue = TaskQueue("toll-roads", database)
        stop = asyncio.Event()
        settings = TaskSettings(heartbeat_s=0.3, stalled_after_s=3, rescue_interval_s=0.3, drain_s=5)
        worker = asyncio.create_task(queue.run_worker([Task(NAME, run)], settings, stop=stop))
        # given: a worker that works
        await enqueue(queue, database_url, 0)
        await until(lambda: done == [0])
        # when: its server hangs, and tasks are enqueued on the new one
        old.set(mode)
        for subject in range(1, 20):
            await enqueue(queue, database_url, subject)
        # then: it does them, and nothing of it is left on the old one
        await until(lambda: set(done) == set(range(20)))
        await until(lambda: not left_on(old))
        stop.set()
        await asyncio.wait_for(worker, LIMIT_S)
    # Of jobs that were lost procrastinate leaves exceptions behind, which are reported when they are collected. Within
    # `ast.parse`, as pytest calls it, that is more than Python 3.11 survives (python/cpython#106905).
    gc.collect()


def left_on(proxy: TcpProxy) -> int:
    """Returns how many connections there are to a proxy but for those of exceptions that wait to be collected."""
    gc.collect()
    return connected_to(proxy)


def connected_to(proxy: TcpProxy) -> int:
    """Returns how many connections this process has to a proxy; attempts to connect are none."""
    of_proxy = {its.fileno() for its in proxy._deaf}
    connections = psutil.Process().net_connections("tcp4")
    established = [it for it in connections if it.status == "ESTABLISHED" and it.fd not in of_proxy]
    return sum(1 for it in established if it.raddr and it.raddr.port == proxy.port)


async def enqueue(queue: TaskQueue, database_url: str, subject: int) -> None:
    parameters = conninfo.make_conninfo(database_url, options="-c search_path=toll_roads")
    async with await psycopg.AsyncConnection.connect(parameters) as connection:
        await queue.enqueue(connection, NAME, subject)


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_an_attempt_to_connect_that_is_given_up_is_closed_whoever_keeps_the_error(
    database_url: str, is_cancelled: bool
) -> None:
    with tcp_proxy(postgres_target(database_url)) as proxy:
        proxy.set(Mode.HANG)
        attempt = asyncio.create_task(BoundedConnection.connect(through(proxy, database_url), connect_timeout=2))
        await until(lambda: connected_to(proxy) == 1)
        if is_cancelled:
            attempt.cancel()
        with pytest.raises((asyncio.CancelledError, psycopg.errors.ConnectionTimeout)) as kept:
            await attempt
        assert connected_to(proxy) == 0, kept.value


async def test_a_statement_that_is_given_up_is_closed_whoever_keeps_the_error(database_url: str) -> None:
    with tcp_proxy(postgres_target(database_url)) as proxy:
        connection = await BoundedConnection.connect(through(proxy, database_url))
        proxy.set(Mode.HANG)
        statement = asyncio.create_task(connection.execute("SELECT 1"))
        await asyncio.sleep(0)
        statement.cancel()
        with pytest.raises(asyncio.CancelledError) as kept:
            await statement
        await until(lambda: connected_to(proxy) == 0)
        assert kept.value.__traceback__ is not None


async def test_a_block_that_is_cancelled_closes_its_connection_however_slow_the_server_is(database_url: str) -> None:
    with tcp_proxy(postgres_target(database_url)) as proxy:
        connection = await BoundedConnection.connect(through(proxy, database_url), autocommit=True)
        # A little slower than a cancelled task waits for it.
        proxy.set(Mode.PASS, delay_s=0.12)

        async def wait_within_the_block() -> None:
            async with connection:
                await connection.execute("SELECT pg_sleep(600)")

        block = asyncio.create_task(wait_within_the_block())
        await asyncio.sleep(0)
        block.cancel()
        with pytest.raises(asyncio.CancelledError):
            await block
        await until(lambda: connection.closed)


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
