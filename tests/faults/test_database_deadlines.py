"""A call that ends takes its statement along, however both end, and leaves its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_kernel.method_contracts import method_contract
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DatabaseUnavailable
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.chassis.shared_reads import SharedReads
from tests.support.calls import failure_of, rpcs
from tests.support.config_edits import edit
from tests.support.databases import opened
from tests.support.endless import PATIENT_POOL
from tests.support.locks import HeldLock, locked_table
from tests.support.suite_in_process import suite_in_process
from tests.support.tcp_proxy import Mode, postgres_target, tcp_proxy, through
from tests.support.waiting import LIMIT_S, until

TABLE = "toll_roads.offers"
INSERT = "INSERT INTO toll_roads.offers VALUES (%s, now())"
# Neither the server nor the sharing of reads ends anything within a test.
PATIENT = {**PATIENT_POOL, "shared_read_timeout_ms": 3_600_000}
CALLS = 20
DEADLINE_S = 0.4


@pytest.fixture
def database_url(reused_database_url: str) -> str:
    return reused_database_url


async def execute(connection: Connection) -> None:
    await connection.execute(INSERT, ("offer",))


async def execute_in_a_transaction(connection: Connection) -> None:
    async with connection.transaction():
        await connection.execute("SELECT 1")
        await connection.execute(INSERT, ("offer",))


async def execute_in_a_savepoint(connection: Connection) -> None:
    async with connection.transaction(), connection.transaction():
        await connection.execute(INSERT, ("offer",))


async def execute_many(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(INSERT, [(f"offer-{number}",) for number in range(100)])


async def execute_in_a_pipeline(connection: Connection) -> None:
    async with connection.pipeline() as pipeline:
        for number in range(5):
            await connection.execute(INSERT, (f"offer-{number}",))
        await pipeline.sync()


async def copy_in(connection: Connection) -> None:
    async with (
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy("COPY toll_roads.offers FROM STDIN") as copy,
    ):
        await copy.write_row(("offer", "2026-11-28"))


async def copy_out(connection: Connection) -> None:
    async with connection.cursor() as cursor, cursor.copy("COPY toll_roads.offers TO STDOUT") as copy:
        async for _row in copy.rows():
            pass


async def stream(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        async for _row in cursor.stream("SELECT * FROM toll_roads.offers"):
            pass


KINDS = [
    execute,
    execute_in_a_transaction,
    execute_in_a_savepoint,
    execute_many,
    execute_in_a_pipeline,
    copy_in,
    copy_out,
    stream,
]


@pytest.fixture
async def lock(database_url: str) -> AsyncIterator[HeldLock]:
    async with locked_table(database_url, TABLE) as held:
        yield held


async def backends(database_url: str) -> set[int]:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'toll-roads'"
        )
        return {pid for (pid,) in await cursor.fetchall()}


async def leave(task: asyncio.Task[Any], *, again_after: int) -> None:
    """Cancels a task twice, the second time so many turns of the event loop later."""
    task.cancel()
    for _ in range(again_after):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def leave_again_and_again(task: asyncio.Task[Any]) -> None:
    """Cancels a task at each turn of the event loop, thus at each place where it waits, until it is over."""
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()


async def use(database: Database, kind: Callable[[Connection], Awaitable[None]]) -> None:
    async with database.connection() as connection:
        await kind(connection)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_a_second_cancellation_costs_neither_statement_nor_connection(
    database_url: str, lock: HeldLock, kind: Callable[[Connection], Awaitable[None]]
) -> None:
    async with opened(database_url, max_size=1, **PATIENT) as database:
        before = await backends(database_url)
        for again_after in (0, 1, 2, 5, 20):
            task = asyncio.create_task(use(database, kind))
            await until(lock.waiting)
            await leave(task, again_after=again_after)
            await until(lambda: database.stats()["pool_available"] == 1)
            assert await lock.waiting() == []
        await lock.release()
        async with database.connection() as connection:
            assert await (await connection.execute("SELECT count(*) FROM toll_roads.offers")).fetchone() == (0,)
        assert await backends(database_url) == before


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_any_number_of_cancellations_costs_neither_statement_nor_connection(
    database_url: str, lock: HeldLock, kind: Callable[[Connection], Awaitable[None]]
) -> None:
    async with opened(database_url, max_size=1, **PATIENT) as database:
        before = await backends(database_url)
        task = asyncio.create_task(use(database, kind))
        await until(lock.waiting)
        await leave_again_and_again(task)
        await until(lambda: database.stats()["pool_available"] == 1)
        assert await lock.waiting() == []
        assert await backends(database_url) == before


async def test_a_read_that_is_shared_ends_when_the_last_caller_has_left(database_url: str, lock: HeldLock) -> None:
    async def query(connection: Connection, _keys: object) -> dict[str, str]:
        await connection.execute("SELECT * FROM toll_roads.offers")
        return {}

    async with opened(database_url, max_size=1, **PATIENT) as database:
        reads = SharedReads(database, query)
        first = asyncio.create_task(reads.get("first"))
        await until(lock.waiting)
        asked = len(await lock.waiting())
        await leave(first, again_after=0)
        assert asked == 1
        await until(lambda: database.stats()["pool_available"] == 1)
        assert await lock.waiting() == []


async def test_however_many_lookups_of_several_keys_go_on_writes_get_a_connection(
    database_url: str, lock: HeldLock
) -> None:
    async def query(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
        await connection.execute("SELECT * FROM toll_roads.offers")
        return dict.fromkeys(keys, "found")

    async with opened(database_url, **PATIENT) as database:
        reads = SharedReads(database, query)
        batches = [[f"{batch}-{key}" for key in range(5)] for batch in range(3 * PoolSettings().max_size)]
        lookups = [asyncio.create_task(reads.get_all(batch)) for batch in batches]
        await until(lock.waiting)
        async with database.connection() as connection:
            await connection.execute("INSERT INTO toll_roads.orders VALUES ('order', now(), NULL, true, NULL)")
        await lock.release()
        assert await asyncio.gather(*lookups) == [dict.fromkeys(batch, "found") for batch in batches]


async def test_callers_of_a_read_that_is_shared_learn_that_the_database_does_not_answer(
    database_url: str, lock: HeldLock
) -> None:
    async def query(connection: Connection, _keys: object) -> dict[str, str]:
        await connection.execute("SELECT * FROM toll_roads.offers")
        return {}

    async with opened(database_url, **PATIENT | {"shared_read_timeout_ms": 50}) as database:
        reads = SharedReads(database, query)
        told = await asyncio.gather(*(reads.get(key) for key in "ab"), return_exceptions=True)
        assert [type(one) for one in told] == [DatabaseUnavailable] * 2


def test_two_reads_that_are_shared_take_less_than_any_contract_gives_such_a_call() -> None:
    shared = ("RetrieveOrder", "CheckEulas", "ListEulas", "GetPersonalState", "GetServiceOrdersState")
    deadlines = [method_contract(rpc.method).deadline for rpc in rpcs() if rpc.method.name in shared]
    assert 2 * PoolSettings().shared_read_timeout_ms / 1000 < min(deadlines)


async def test_statements_end_with_the_deadlines_of_their_calls(
    database_url: str, keys_dir: Path, config_dir: Path, lock: HeldLock
) -> None:
    edit(config_dir / "server.yaml", {"pool": {"min_size": CALLS, "max_size": CALLS, **PATIENT}})
    async with (
        suite_in_process(
            database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=["toll-roads"]
        ) as suite,
        suite.channel() as channel,
    ):
        database = suite.database("toll-roads")
        await until(lambda: database.stats()["pool_available"] == CALLS)
        before = await backends(database_url)

        async def save(number: int) -> None:
            request = api.SaveOfferRequest(offer_id=f"offer-{number}")
            metadata = suite.metadata("routestats", "toll-roads")
            error = await failure_of(
                channel,
                "/ridehail.tollroads.v1.TollRoadsService/SaveOffer",
                request,
                metadata=metadata,
                timeout=DEADLINE_S,
            )
            assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED

        await asyncio.gather(*(save(number) for number in range(CALLS)))
        await until(lambda: database.stats()["pool_available"] == CALLS)
        assert await lock.waiting() == []
        assert await backends(database_url) == before


async def test_a_call_does_not_wait_for_a_server_that_hangs(database_url: str) -> None:
    with tcp_proxy(postgres_target(database_url)) as proxy:
        async with opened(through(proxy, database_url), max_size=1, **PATIENT) as database:

            async def ask() -> None:
                async with database.transaction() as connection:
                    proxy.set(Mode.HANG)
                    async with asyncio.timeout(DEADLINE_S):
                        await connection.execute("SELECT 1")

            with pytest.raises(DatabaseUnavailable):
                await ask()
            # The connection is given up although nothing has come back from the server, and its place is free.
            await until(lambda: not database.reachable)
            assert database.stats()["pool_size"] == 1  # the one that is being made
            proxy.set(Mode.PASS)
            await until(lambda: database.reachable)
            async with database.connection() as connection:
                assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_a_statement_without_a_deadline_does_not_wait_for_a_server_that_hangs(database_url: str) -> None:
    with tcp_proxy(postgres_target(database_url)) as proxy:
        async with opened(through(proxy, database_url), max_size=1, statement_timeout_ms=100) as database:

            async def ask() -> None:
                async with database.connection() as connection:
                    proxy.set(Mode.HANG)
                    await connection.execute("SELECT 1")

            with pytest.raises(DatabaseUnavailable):
                await asyncio.wait_for(ask(), LIMIT_S)
            await until(lambda: not database.reachable)
