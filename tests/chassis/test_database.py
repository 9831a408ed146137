"""Connections are killed, the pool is full, Postgres is slow: what callers see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
import psycopg
import pytest

from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_clients import AsyncTollRoadsClient, OrderNotFound
from ridehail_kernel import call_context
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DatabaseUnavailable, Overloaded
from ridehail_servers.chassis.settings import PoolSettings
from tests.support.calls import call, failure_of
from tests.support.config_edits import edit
from tests.support.databases import opened
from tests.support.endless import PATIENT_POOL, admit_gateway, endless, gateway_metadata
from tests.support.locks import locked_table
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.waiting import LIMIT_S, until

SAVE_OFFER = "/ridehail.tollroads.v1.TollRoadsService/SaveOffer"


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return ("toll-roads", "order-core")


@pytest.mark.integration
async def test_a_service_whose_database_never_comes_does_not_start(tmp_path: Path) -> None:
    database = Database(f"host={tmp_path} user=x", schema="x", settings=PoolSettings(), application="x")
    with pytest.raises(DatabaseUnavailable):
        await database.open(timeout=0.2)


# --- killed connections


class Question:
    """A read whose connection is killed for the first so many times."""

    def __init__(self, *, killed: int) -> None:
        self.killed = killed
        self.asked = 0

    async def __call__(self, connection: Connection) -> int:
        self.asked += 1
        if self.asked <= self.killed:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        cursor = await connection.execute("SELECT 42")
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


async def test_a_read_is_repeated_once_after_its_connection_was_killed(database_url: str) -> None:
    async with opened(database_url) as database:
        question = Question(killed=1)
        assert await database.read(question) == 42
        assert question.asked == 2


async def test_a_read_is_not_repeated_a_second_time(database_url: str) -> None:
    async with opened(database_url) as database:
        question = Question(killed=2)
        with pytest.raises(DatabaseUnavailable):
            await database.read(question)
        assert question.asked == 2
        assert await database.read(Question(killed=0)) == 42


async def test_what_may_write_is_not_repeated(database_url: str) -> None:
    async with opened(database_url) as database:
        question = Question(killed=1)
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction() as connection:
                await question(connection)
        assert question.asked == 1


async def test_callers_notice_nothing_of_killed_connections(running_suite: SuiteInProcess) -> None:
    async with AsyncTollRoadsClient(running_suite.address, ticket=running_suite.ticket("api-proxy")) as client:
        with pytest.raises(OrderNotFound):
            await client.retrieve_order(order_id="order")
        killed = await running_suite.rows(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name IN ('toll-roads', 'order-core')
            """
        )
        assert len(killed) >= 2
        with pytest.raises(OrderNotFound):
            await client.retrieve_order(order_id="order")


async def test_a_caller_may_leave_at_any_moment_and_takes_no_connection_along(database_url: str) -> None:
    async with opened(database_url, min_size=4, max_size=4) as database:
        await until(lambda: database.stats()["pool_available"] == 4)
        for number in range(40):
            reading = asyncio.create_task(database.read(Question(killed=1)))
            await asyncio.sleep(number * 0.0002)
            if reading.cancel():
                await asyncio.wait({reading})
                assert reading.cancelled()
        await until(lambda: database.stats()["pool_available"] == 4)
        assert database.stats()["pool_size"] == 4


# --- a full pool


async def test_a_full_pool_refuses_with_the_time_to_come_again(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    edit(config_dir / "server.yaml", {"pool": {"max_size": 1, "max_waiting": 1, "timeout_s": 2, **PATIENT_POOL}})
    admit_gateway(config_dir, SAVE_OFFER)
    request = toll_roads.SaveOfferRequest(offer_id="offer")
    async with (
        suite_in_process(
            database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=[endless("toll-roads")]
        ) as suite,
        suite.channel() as channel,
        locked_table(database_url, "toll_roads.offers") as lock,
    ):
        metadata = gateway_metadata(keys_dir)
        holder = asyncio.create_task(call(channel, SAVE_OFFER, request, metadata=metadata))
        await until(lock.waiting)
        waiter = asyncio.create_task(failure_of(channel, SAVE_OFFER, request, metadata=metadata))
        await until(lambda: suite.database("toll-roads").stats()["requests_waiting"])

        refused = await failure_of(channel, SAVE_OFFER, request, metadata=metadata)
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refused.retry_after

        gave_up = await waiter
        assert (gave_up.code, gave_up.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert gave_up.retry_after

        await lock.release()
        assert await holder == b""


async def test_a_read_does_not_wait_twice_for_a_busy_pool(database_url: str) -> None:
    async with opened(database_url, max_size=1, timeout_s=0.2) as database, database.connection():
        ended: list[None] = []
        database.load.on_progress = lambda: ended.append(None)
        with pytest.raises(Overloaded):
            await database.read(Question(killed=0))
        assert len(ended) == 1


async def test_waiting_for_a_connection_leaves_time_to_respond(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url, max_size=1, timeout_s=30) as database, database.connection():
        lend, waits = database._pool.lend, list[float]()

        async def noted(timeout: float) -> object:
            waits.append(timeout)
            return await lend(timeout)

        monkeypatch.setattr(database._pool, "lend", noted)
        with call_context.call_context(deadline=time.monotonic() + 0.5), pytest.raises(Overloaded):
            async with database.connection():
                pass
        assert len(waits) == 1
        assert 0 < waits[0] < 0.4


async def test_one_call_more_than_may_wait_is_refused(database_url: str) -> None:
    async with opened(database_url, max_size=1, max_waiting=1, timeout_s=60) as database:
        async with database.connection():
            waiting = asyncio.create_task(database.read(Question(killed=0)))
            await until(lambda: database.stats()["requests_waiting"])
            with pytest.raises(Overloaded):
                await database.read(Question(killed=0))
        assert await waiting == 42


# --- limits that Postgres keeps


async def test_a_slow_statement_is_ended_and_asked_once(database_url: str) -> None:
    asked = 0

    async def sleep(connection: Connection) -> None:
        nonlocal asked
        asked += 1
        await connection.execute("SELECT pg_sleep(30)")

    async with opened(database_url, statement_timeout_ms=100) as database:
        with pytest.raises(DatabaseUnavailable) as caught:
            await asyncio.wait_for(database.read(sleep), LIMIT_S)
    assert isinstance(caught.value.__cause__, psycopg.errors.QueryCanceled)
    assert asked == 1


async def test_a_lock_is_not_waited_for_for_ever(database_url: str) -> None:
    async with opened(database_url, lock_timeout_ms=100) as database, locked_table(database_url, "toll_roads.offers"):
        with pytest.raises(DatabaseUnavailable) as caught:
            async with asyncio.timeout(LIMIT_S), database.connection() as connection:
                await connection.execute("SELECT * FROM toll_roads.offers")
    assert isinstance(caught.value.__cause__, psycopg.errors.LockNotAvailable)


async def test_every_connection_of_a_service_has_the_shipped_limits(running_suite: SuiteInProcess) -> None:
    async with running_suite.database("toll-roads").connection() as connection:
        settings = {
            name: (await (await connection.execute(f"SHOW {name}".encode())).fetchone() or ("",))[0]
            for name in ("statement_timeout", "lock_timeout", "search_path", "timezone", "application_name")
        }
    assert settings == {
        "statement_timeout": "5s",
        "lock_timeout": "2s",
        "search_path": "toll_roads",
        "timezone": "UTC",
        "application_name": "toll-roads",
    }


async def test_a_transaction_is_rolled_back_by_an_error(database_url: str) -> None:
    async with opened(database_url) as database:

        async def insert_twice() -> None:
            async with database.transaction() as connection:
                for _ in range(2):
                    await connection.execute("INSERT INTO toll_roads.offers VALUES ('offer', now())")

        with pytest.raises(psycopg.errors.UniqueViolation):
            await insert_twice()
        async with database.connection() as connection:
            assert await (await connection.execute("SELECT * FROM toll_roads.offers")).fetchall() == []
