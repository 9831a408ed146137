"""A real Postgres goes away and comes back: what callers see, and that all is well again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from psycopg import sql

from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_clients import ServiceError
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import DatabaseUnavailable
from ridehail_servers.toll_roads.offers import Offers
from ridehail_servers.toll_roads.store import TollRoadsStore
from tests.support.calls import Metadata, call
from tests.support.databases import OwnPostgres, empty_tables, opened
from tests.support.folders import shared_folder
from tests.support.log_capture import LogCapture
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.task_trial import Trial, trial_at
from tests.support.tcp_proxy import TcpProxy
from tests.support.two_hosts import port_of, two_servers
from tests.support.waiting import until

pytestmark = pytest.mark.integration

TOLL_ROADS = "/ridehail.tollroads.v1.TollRoadsService"
ORDER_CORE = "/ridehail.ordercore.v1.OrderCoreService"
# Calls of each method that fail, or succeed, in a row before the test goes on.
MANY = 10


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[OwnPostgres]:
    with shared_folder() as folder:
        server = OwnPostgres(folder / "postgres", ("toll_roads", "order_core"))
        yield server
        server.close()


@pytest.fixture
async def suite(own_postgres: OwnPostgres, keys_dir: Path, config_dir: Path) -> AsyncIterator[SuiteInProcess]:
    async with suite_in_process(
        database_url=own_postgres.url, keys_dir=keys_dir, config_dir=config_dir, services=("toll-roads", "order-core")
    ) as running:
        await make_order(running)
        yield running


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


# --- an outage under load


@dataclass(frozen=True)
class Attempt:
    """One call, without a repeat."""

    path: str
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
                error: ServiceError | None = None
                try:
                    await call(channel, path, request, metadata=metadata)
                except ServiceError as failure:
                    error = failure
                self.attempts.append(Attempt(path, error))
                await asyncio.sleep(0.01)  # leaves this test's own processor time to the server

    @property
    def failures(self) -> list[ServiceError]:
        return [attempt.error for attempt in self.attempts if attempt.error is not None]

    async def goes_on(self, *, failing: bool) -> None:
        """Waits until the latest calls of every method have failed, or succeeded."""

        def does() -> bool:
            for path, _request, _metadata in self.requests(0):
                latest = [attempt for attempt in self.attempts if attempt.path == path][-MANY:]
                if len(latest) < MANY or any((attempt.error is not None) != failing for attempt in latest):
                    return False
            return True

        await until(does)

    @asynccontextmanager
    async def of(self, clients: int) -> AsyncIterator[None]:
        running = [asyncio.create_task(self.client(number)) for number in range(clients)]
        try:
            yield
        finally:
            self.stopped.set()
            await asyncio.gather(*running)


async def test_an_outage_is_reported_as_one_and_ends_with_it(
    suite: SuiteInProcess, own_postgres: OwnPostgres, log: LogCapture
) -> None:
    # given: clients that read and write, and all is well
    load = Load(suite)
    async with load.of(8):
        await load.goes_on(failing=False)
        assert load.failures == []

        # when: Postgres is away for a while
        await asyncio.to_thread(own_postgres.stop)
        await load.goes_on(failing=True)
        await asyncio.to_thread(own_postgres.start)

        # then: all is well again
        await load.goes_on(failing=False)

    # and: every failure said what was wrong and when to come again
    told = Counter((error.code, error.reason) for error in load.failures)
    assert told.keys() == {(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")}, told
    assert all(error.retry_after for error in load.failures)
    assert log.events("unexpected error") == []


async def test_after_a_restart_nobody_noticed_the_first_reads_succeed(
    suite: SuiteInProcess, own_postgres: OwnPostgres
) -> None:
    load = Load(suite)
    async with load.of(8):
        await load.goes_on(failing=False)  # several connections are open

    await asyncio.to_thread(own_postgres.stop)
    await asyncio.to_thread(own_postgres.start)

    async with suite.channel() as channel:
        path, request, metadata = load.requests(0)[0]
        await asyncio.gather(*(call(channel, path, request, metadata=metadata) for _ in range(20)))


async def test_a_service_that_starts_before_its_database_waits_for_it(
    own_postgres: OwnPostgres, log: LogCapture
) -> None:
    async def open_and_ask() -> tuple[object, ...] | None:
        async with opened(own_postgres.url) as database, database.connection() as connection:
            return await (await connection.execute("SELECT 1")).fetchone()

    own_postgres.stop()
    opening = asyncio.create_task(open_and_ask())
    await until(lambda: log.events("database unreachable"))
    await asyncio.to_thread(own_postgres.start)
    assert await opening == (1,)


# --- a synchronous standby that does not confirm


@contextmanager
def without_its_standby(url: str) -> Iterator[None]:
    """Makes every commit of the server wait for a standby that does not exist."""
    with psycopg.connect(url, autocommit=True) as connection:

        def wait_for(standby: str) -> None:
            connection.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(standby))
            connection.execute("SELECT pg_reload_conf()")

        wait_for("absent")
        try:
            yield
        finally:
            wait_for("")


INSERT = "INSERT INTO toll_roads.offers VALUES (%s, now())"


async def test_a_commit_that_no_standby_has_confirmed_is_not_acknowledged(
    own_postgres: OwnPostgres, log: LogCapture
) -> None:
    async def write_alone() -> None:
        async with database.connection() as connection:
            await connection.execute(INSERT, ("alone",))

    async def write_in_a_transaction() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT, ("in a transaction",))

    async with opened(own_postgres.url, max_size=1) as database:
        with without_its_standby(own_postgres.url):
            await until(lambda: commits_wait(own_postgres.url))
            for write in (write_alone, write_in_a_transaction):
                writing = asyncio.create_task(write())
                # when: somebody ends the wait, which makes the server report success
                await until(lambda: cancel_waits(own_postgres.url))
                with pytest.raises(DatabaseUnavailable):
                    await writing
            assert len(log.events("commit not confirmed by a standby")) == 2
            # and: reads and the connection itself are as good as before
            async with database.connection() as connection:
                await connection.execute("SELECT 1")


async def test_a_repeat_of_a_save_whose_commit_still_waits_waits_as_well(own_postgres: OwnPostgres) -> None:
    async with opened(own_postgres.url) as database:
        offers = Offers(database, TollRoadsStore(), system_clock)
        with without_its_standby(own_postgres.url):
            await until(lambda: commits_wait(own_postgres.url))
            # given: a save whose caller has left; the server has stored it, the standby has not
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(offers.save("repeated"), 0.2)
            # when
            repeat = asyncio.create_task(offers.save("repeated"))
            await until(lambda: repeat.done() or cancel_waits(own_postgres.url))
            # then: it is not acknowledged either
            with pytest.raises(DatabaseUnavailable):
                await repeat


async def test_an_old_primary_that_can_commit_nothing_is_left_by_all_connections(own_postgres: OwnPostgres) -> None:
    async def write() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT, ("left",))

    async with two_servers(own_postgres.url) as (old, new, url), opened(url, max_size=1) as database:
        follower = await database.connect()
        assert await port_of(database) == follower.info.port == old.port
        with without_its_standby(own_postgres.url):
            await until(lambda: commits_wait(own_postgres.url))
            # when: a call ends by its deadline, because its commit waits
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(write(), 0.2)
            await until(lambda: is_at(database, new))
        with pytest.raises(psycopg.OperationalError):
            await follower.execute("SELECT 1")
        assert follower.closed


async def is_at(database: Database, host: TcpProxy) -> bool:
    return await port_of(database) == host.port


async def commits_wait(url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        try:
            await asyncio.wait_for(connection.execute("SELECT pg_logical_emit_message(true, '', '')"), 0.1)
        except TimeoutError:
            return True
        return False


def cancel_waits(url: str) -> bool:
    query = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with psycopg.connect(url) as connection:
        return bool(connection.execute(query).fetchall())


# --- workers of tasks


@pytest.fixture
async def trial(own_postgres: OwnPostgres) -> AsyncIterator[Trial]:
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        empty_tables(connection)
    async with trial_at(own_postgres.url) as trial:
        yield trial


async def nothing(_subject: int) -> None: ...


async def test_a_worker_survives_the_loss_of_postgres(trial: Trial, own_postgres: OwnPostgres, log: LogCapture) -> None:
    running, go = asyncio.Event(), asyncio.Event()
    done: list[int] = []

    async def run(subject: int) -> None:
        running.set()
        await go.wait()
        async with trial.database.connection() as connection:
            await connection.execute("SELECT 1")
        done.append(subject)

    await trial.enqueue(1)
    async with trial.worker(run):
        # given: a task under way
        await running.wait()
        # when
        await asyncio.to_thread(own_postgres.stop)
        go.set()
        await until(lambda: log.events("task worker lost its database"))
        await asyncio.to_thread(own_postgres.start)
        await until(lambda: enqueued(trial, 2))
        # then: it is done after all, and so are new ones
        await until(trial.no_job_is_left)
    assert {1, 2} <= set(done)


async def enqueued(trial: Trial, subject: int) -> bool:
    try:
        await trial.enqueue(subject)
    except DatabaseUnavailable:
        return False
    return True


async def test_a_worker_that_starts_while_postgres_is_away_works_once_it_is_back(
    trial: Trial, own_postgres: OwnPostgres, log: LogCapture
) -> None:
    await trial.enqueue(1)
    await asyncio.to_thread(own_postgres.stop)
    async with trial.worker(nothing):
        await until(lambda: len(log.events("task worker lost its database")) >= 2)
        await asyncio.to_thread(own_postgres.start)
        await until(trial.no_job_is_left)


async def test_a_worker_without_postgres_stops_on_request(
    trial: Trial, own_postgres: OwnPostgres, log: LogCapture
) -> None:
    async with trial.worker(nothing) as stop:
        await asyncio.to_thread(own_postgres.stop)
        await until(lambda: log.events("task worker lost its database"))
        stop.set()
    # While Postgres is away: the worker is waited for at the end of the block.
    await asyncio.to_thread(own_postgres.start)
