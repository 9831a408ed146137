"""Postgres goes away and comes back, is slow, is full: what callers see, and how soon all is well again."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_clients import AsyncTollRoadsClient, OrderNotFound, ServiceError, call_context
from ridehail_servers.chassis.database import Connection, Database, PoolSettings
from ridehail_servers.chassis.errors import DatabaseUnavailable, Overloaded
from tests.support.calls import Metadata, call, failure_of
from tests.support.config_edits import edit
from tests.support.databases import OwnPostgres, opened
from tests.support.folders import shared_folder
from tests.support.locks import locked_table
from tests.support.log_capture import LogCapture
from tests.support.suite_in_process import SuiteInProcess, suite_in_process, until

TOLL_ROADS = "/ridehail.tollroads.v1.TollRoadsService"
ORDER_CORE = "/ridehail.ordercore.v1.OrderCoreService"
OUTAGE_S = 5.0
HEALTHY_WITHIN_S = 2.0


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[OwnPostgres]:
    with shared_folder() as folder:
        server = OwnPostgres(folder / "postgres")
        yield server
        server.close()


# --- an outage under load


@dataclass(frozen=True)
class Attempt:
    """One call, without a repeat."""

    path: str
    began: float
    ended: float
    error: ServiceError | None


class Load:
    """Several clients that call without a pause and repeat nothing."""

    def __init__(self, suite: SuiteInProcess) -> None:
        self.suite = suite
        self.attempts: list[Attempt] = []
        self.stopped = asyncio.Event()

    def requests(self, number: int) -> list[tuple[str, Message, Metadata]]:
        created = datetime(2026, 11, 20, tzinfo=UTC)
        save = toll_roads.EnqueueOrderSaveRequest(
            order_id=f"order-{number}", can_switch_road=False, user_chose_toll_road=False
        )
        save.created.FromDatetime(created)
        return [
            (
                f"{TOLL_ROADS}/RetrieveOrder",
                toll_roads.RetrieveOrderRequest(order_id="order"),
                self.suite.metadata("api-proxy", "toll-roads"),
            ),
            (
                f"{TOLL_ROADS}/SaveOffer",
                toll_roads.SaveOfferRequest(offer_id=f"offer-{number}"),
                self.suite.metadata("routestats", "toll-roads"),
            ),
            (f"{TOLL_ROADS}/EnqueueOrderSave", save, self.suite.metadata("processing", "toll-roads")),
            (
                f"{ORDER_CORE}/GetOrderFields",
                order_core.GetOrderFieldsRequest(order_id="order", fields=["order"]),
                self.suite.metadata("admin", "order-core"),
            ),
        ]

    async def client(self, number: int) -> None:
        async with self.suite.channel() as channel:
            requests = self.requests(number)
            path, request, metadata = requests[number % len(requests)]
            while not self.stopped.is_set():
                began = time.monotonic()
                error: ServiceError | None = None
                try:
                    await call(channel, path, request, metadata=metadata)
                except ServiceError as failure:
                    error = failure
                self.attempts.append(Attempt(path, began, time.monotonic(), error))
                await asyncio.sleep(0.005)  # leaves this test's own processor time to the server

    def since(self, moment: float) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.began >= moment]

    @asynccontextmanager
    async def of(self, clients: int) -> AsyncIterator[None]:
        running = [asyncio.create_task(self.client(number)) for number in range(clients)]
        try:
            yield
        finally:
            self.stopped.set()
            await asyncio.gather(*running)


async def test_an_outage_is_told_as_one_and_over_two_seconds_after_it_ends(
    own_postgres: OwnPostgres,
    keys_dir: Path,
    config_dir: Path,
    log: LogCapture,
    record_property: Callable[[str, object], None],
) -> None:
    # given: clients that read and write, and all is well
    async with suite_in_process(database_url=own_postgres.url, keys_dir=keys_dir, config_dir=config_dir) as suite:
        await make_order(suite)
        load = Load(suite)
        async with load.of(12):
            await until(lambda: len(load.attempts) > 100)
            assert [attempt.error for attempt in load.attempts if attempt.error] == []

            # when: Postgres is away for a while
            await asyncio.to_thread(own_postgres.stop)
            await asyncio.sleep(OUTAGE_S)
            await asyncio.to_thread(own_postgres.start)
            back = time.monotonic()
            await asyncio.sleep(HEALTHY_WITHIN_S + 1)

    # then: every failure says what is wrong and when to come again
    failed = [attempt for attempt in load.attempts if attempt.error]
    told = Counter((attempt.path, attempt.error.code, attempt.error.reason) for attempt in failed if attempt.error)
    assert {outcome[1:] for outcome in told} == {(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")}, told
    assert all(attempt.error and attempt.error.retry_after for attempt in failed)
    assert {path for path, _code, _reason in told} == {path for path, _request, _metadata in load.requests(0)}
    assert log.events("unexpected error") == []

    # and: the service is whole again soon
    recovery = max(attempt.ended for attempt in failed) - back
    record_property("seconds_from_postgres_ready_to_last_failure", round(recovery, 3))
    sys.stdout.write(f"last failure {recovery:.3f} s after Postgres was ready; {len(failed)} failures\n")
    assert recovery < HEALTHY_WITHIN_S
    healthy = load.since(back + HEALTHY_WITHIN_S)
    assert {attempt.path for attempt in healthy} == {attempt.path for attempt in load.attempts}
    assert [attempt.error for attempt in healthy if attempt.error] == []


async def make_order(suite: SuiteInProcess) -> None:
    document = Struct()
    document.update({"order": {"status": "driving"}})
    async with suite.channel() as channel:
        await call(
            channel,
            f"{ORDER_CORE}/PutOrder",
            order_core.PutOrderRequest(order_id="order", yandex_uid="uid", document=document),
            metadata=suite.metadata("admin", "order-core"),
        )
    await suite.execute(
        """
        INSERT INTO toll_roads.orders VALUES ('order', now(), NULL, true, NULL) ON CONFLICT DO NOTHING;
        INSERT INTO toll_roads.log_has_toll_road VALUES ('order', '2026-11-20', true) ON CONFLICT DO NOTHING
        """
    )


async def test_after_a_restart_nobody_noticed_the_first_reads_succeed(
    own_postgres: OwnPostgres, keys_dir: Path, config_dir: Path
) -> None:
    async with suite_in_process(database_url=own_postgres.url, keys_dir=keys_dir, config_dir=config_dir) as suite:
        await make_order(suite)
        load = Load(suite)
        async with load.of(8):
            await until(lambda: len(load.attempts) > 100)  # several connections are open

        await asyncio.to_thread(own_postgres.stop)
        await asyncio.to_thread(own_postgres.start)

        async with suite.channel() as channel:
            path, request, metadata = load.requests(0)[0]
            await asyncio.gather(*(call(channel, path, request, metadata=metadata) for _ in range(20)))


async def test_a_service_that_starts_before_its_database_waits_for_it(own_postgres: OwnPostgres) -> None:
    own_postgres.stop()
    opening = asyncio.create_task(open_and_ask(own_postgres.url))
    await asyncio.sleep(1.5)  # longer than the pool goes on trying by itself
    assert not opening.done()
    await asyncio.to_thread(own_postgres.start)
    assert await asyncio.wait_for(opening, 3) == (1,)


async def open_and_ask(url: str) -> tuple[object, ...] | None:
    async with opened(url) as database, database.connection() as connection:
        return await (await connection.execute("SELECT 1")).fetchone()


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
    edit(config_dir / "server.yaml", {"pool": {"max_size": 1, "max_waiting": 1, "timeout_s": 0.3}})
    path = f"{TOLL_ROADS}/SaveOffer"
    request = toll_roads.SaveOfferRequest(offer_id="offer")
    async with (
        suite_in_process(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as suite,
        suite.channel() as channel,
        locked_table(database_url, "toll_roads.offers") as lock,
    ):
        metadata = suite.metadata("routestats", "toll-roads")
        holder = asyncio.create_task(call(channel, path, request, metadata=metadata))
        await until(lock.waiting)
        waiter = asyncio.create_task(failure_of(channel, path, request, metadata=metadata))
        await until(lambda: suite.database("toll-roads").stats()["requests_waiting"])

        refused = await failure_of(channel, path, request, metadata=metadata)
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refused.retry_after

        gave_up = await waiter
        assert (gave_up.code, gave_up.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert gave_up.retry_after

        await lock.release()
        assert await holder == b""


async def test_a_read_does_not_wait_twice_for_a_busy_pool(database_url: str) -> None:
    async with opened(database_url, max_size=1, timeout_s=0.2) as database, database.connection():
        began = time.monotonic()
        with pytest.raises(Overloaded):
            await database.read(Question(killed=0))
        assert time.monotonic() - began < 0.35


async def test_waiting_for_a_connection_leaves_time_to_tell_the_caller(database_url: str) -> None:
    async with opened(database_url, max_size=1, timeout_s=30) as database, database.connection():
        deadline = time.monotonic() + 0.5
        with call_context.call_context(deadline=deadline), pytest.raises(Overloaded):
            async with database.connection():
                pass
        assert 0.05 < deadline - time.monotonic() < 0.2


async def test_one_call_more_than_may_wait_is_refused(database_url: str) -> None:
    async with opened(database_url, max_size=1, max_waiting=1, timeout_s=1) as database:
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
            await asyncio.wait_for(database.read(sleep), 5)
    assert isinstance(caught.value.__cause__, psycopg.errors.QueryCanceled)
    assert asked == 1


async def test_a_lock_is_not_waited_for_for_ever(database_url: str) -> None:
    async with opened(database_url, lock_timeout_ms=100) as database, locked_table(database_url, "toll_roads.offers"):
        with pytest.raises(DatabaseUnavailable) as caught:
            async with asyncio.timeout(5), database.connection() as connection:
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


async def test_a_transaction_is_undone_by_an_error(database_url: str) -> None:
    async with opened(database_url) as database:

        async def insert_twice() -> None:
            async with database.transaction() as connection:
                for _ in range(2):
                    await connection.execute("INSERT INTO toll_roads.offers VALUES ('offer', now())")

        with pytest.raises(psycopg.errors.UniqueViolation):
            await insert_twice()
        async with database.connection() as connection:
            assert await (await connection.execute("SELECT * FROM toll_roads.offers")).fetchall() == []
