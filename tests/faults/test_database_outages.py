"""Postgres cannot be reached: calls fail at once, and whatever they were, all is well soon after it is back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import REGISTRY

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_kernel import call_context
from ridehail_servers.chassis import connection_pool
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DatabaseUnavailable, DomainError, Overloaded
from tests.support.calls import failure_of
from tests.support.databases import opened
from tests.support.log_capture import LogCapture
from tests.support.suite_in_process import suite_in_process
from tests.support.tcp_proxy import Mode, TcpProxy, postgres_target, tcp_proxy, through
from tests.support.waiting import LIMIT_S, until

OUTAGES = [Mode.REFUSE, Mode.RESET, Mode.HANG, Mode.BLACKHOLE]
MAX_WAITING = 20


@pytest.fixture
def database_url(reused_database_url: str) -> str:
    return reused_database_url


@pytest.fixture(scope="module")
def proxy(postgres_url: str) -> Iterator[TcpProxy]:
    with tcp_proxy(postgres_target(postgres_url)) as running:
        yield running


@pytest.fixture
def url(proxy: TcpProxy, database_url: str) -> Iterator[str]:
    proxy.set(Mode.PASS)
    yield through(proxy, database_url)
    proxy.set(Mode.PASS)


@pytest.fixture
def often_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle connections are checked all the time."""
    monkeypatch.setattr(connection_pool, "_CHECK_INTERVAL_S", 0.05)
    monkeypatch.setattr(connection_pool, "_CHECK_S", 1.0)


async def one(connection: Connection) -> object:
    return await (await connection.execute("SELECT 1")).fetchone()


async def call(database: Database, deadline_s: float = 0.2) -> DomainError | None:
    """Calls as a service does; returns how the call failed."""
    loop = asyncio.get_running_loop()
    try:
        with call_context.call_context(deadline=loop.time() + deadline_s):
            async with asyncio.timeout(deadline_s):
                await database.read(one)
    except (DatabaseUnavailable, Overloaded) as error:
        return error
    except TimeoutError:
        return DatabaseUnavailable()
    return None


async def is_well(database: Database) -> bool:
    return await call(database, deadline_s=LIMIT_S) is None


def fails_at_once(database: Database) -> bool:
    """Tells whether a call fails without having waited for anything."""
    reading = database.read(one)
    try:
        reading.send(None)
    except DatabaseUnavailable:
        return True
    finally:
        reading.close()
    return False


@pytest.mark.parametrize("min_size", [0, 1])
@pytest.mark.parametrize("mode", OUTAGES)
async def test_many_more_calls_than_may_wait_do_not_outlast_the_outage(
    proxy: TcpProxy, url: str, mode: Mode, min_size: int
) -> None:
    async with opened(url, min_size=min_size, max_size=4, max_waiting=MAX_WAITING) as database:
        assert await is_well(database)
        # when: during an outage far more calls come than may wait, until no connection is left of those before it
        proxy.set(mode)
        failures: list[DomainError | None] = []

        async def lost() -> bool:
            failures.extend(await asyncio.gather(*(call(database) for _ in range(3 * MAX_WAITING))))
            return not database.reachable

        await until(lost)
        # then: the next ones fail at once, and say why
        assert all(fails_at_once(database) for _ in range(100))
        assert None not in failures
        assert database.stats()["requests_waiting"] == 0

        # when: the outage ends
        proxy.set(Mode.PASS)
        await until(lambda: database.reachable)
        # then: so it is for everybody
        assert (
            await asyncio.gather(*(call(database, deadline_s=LIMIT_S) for _ in range(MAX_WAITING)))
            == [None] * MAX_WAITING
        )


@pytest.mark.parametrize("mode", OUTAGES)
@pytest.mark.usefixtures("often_checked")
async def test_an_outage_and_its_end_are_noticed_without_any_call(
    proxy: TcpProxy, url: str, mode: Mode, log: LogCapture
) -> None:
    async with opened(url, min_size=2) as database:
        await until(lambda: database.stats()["pool_available"] == 2)
        proxy.set(mode)
        await until(lambda: not database.reachable)
        assert database.unreachable_s > 0
        proxy.set(Mode.PASS)
        await until(lambda: database.stats()["pool_available"] == 2)
        assert database.reachable
        assert database.unreachable_s == 0
    assert len(log.events("database unreachable")) == len(log.events("database reachable again")) == 1


async def test_calls_that_wait_fail_when_the_last_connection_is_lost(proxy: TcpProxy, url: str) -> None:
    async with opened(url, max_size=1, timeout_s=60) as database:
        async with database.connection():
            waiting = asyncio.create_task(database.read(one))
            await until(lambda: database.stats()["requests_waiting"] == 1)
            proxy.set(Mode.REFUSE)
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(waiting, LIMIT_S)


async def test_connections_that_the_server_has_closed_are_not_lent(proxy: TcpProxy, url: str) -> None:
    async with opened(url, min_size=3) as database:
        await until(lambda: database.stats()["pool_available"] == 3)
        proxy.set(Mode.REFUSE)
        proxy.set(Mode.PASS)
        # A write is never repeated; so it succeeds only on a connection that lives.
        async with database.transaction() as connection:
            assert await one(connection) == (1,)


async def test_a_full_pool_of_a_database_that_is_well_means_overload(url: str) -> None:
    async with opened(url, max_size=1, timeout_s=0.05) as database, database.connection():
        with pytest.raises(Overloaded) as caught:
            await database.read(one)
        assert caught.value.retry_after
        assert database.reachable


async def test_calls_that_have_given_up_do_not_count_as_waiting(url: str) -> None:
    async with opened(url, max_size=1, max_waiting=MAX_WAITING, timeout_s=0.05) as database:
        async with database.connection():
            for _ in range(3):
                refused = await asyncio.gather(*(call(database, LIMIT_S) for _ in range(MAX_WAITING)))
                assert {str(error) for error in refused} == {"no connection to the database became free in time"}
        assert await is_well(database)


async def test_a_server_without_a_connection_to_spare_does_not_stop_those_that_there_are(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(url, min_size=1, max_size=2) as database:

        async def refused() -> None:
            raise psycopg.OperationalError("too many connections")

        async with database.connection() as connection:
            monkeypatch.setattr(database._pool, "_connect", refused)
            waiting = asyncio.create_task(database.read(one))
            await until(lambda: database._pool.failure is not None)
            assert database.reachable
            assert await one(connection) == (1,)
        assert await waiting == (1,)


async def test_callers_that_leave_at_any_time_take_no_connection_along(proxy: TcpProxy, url: str) -> None:
    chance = random.Random(20261128)
    async with opened(url, min_size=4, max_size=4, max_waiting=1000) as database:
        await until(lambda: database.stats()["pool_available"] == 4)
        proxy.set(Mode.PASS, delay_s=0.002)

        async def leave() -> None:
            try:
                async with asyncio.timeout(chance.uniform(0.0, 0.05)), database.transaction() as connection:
                    await one(connection)
            except (TimeoutError, DomainError):
                pass

        for _ in range(10):
            await asyncio.gather(*(leave() for _ in range(100)))
        await until(lambda: database.stats()["pool_available"] == 4)
        assert database.stats() == {
            "pool_size": 4,
            "pool_available": 4,
            "pool_connecting": 0,
            "requests_waiting": 0,
        }


@pytest.mark.usefixtures("often_checked")
async def test_a_connection_that_is_not_given_back_is_reclaimed(url: str, log: LogCapture) -> None:
    def reclaimed() -> float:
        name = "ridehail_database_connections_reclaimed_total"
        return REGISTRY.get_sample_value(name, {"service": "toll-roads"}) or 0

    before = reclaimed()
    async with opened(url, max_size=1) as database:
        await asyncio.create_task(database._pool.lend(1.0))
        await until(lambda: reclaimed() == before + 1)
        assert await is_well(database)
    assert log.events("connection reclaimed from a task that has ended")


SERVICE = "/ridehail.tollroads.v1.TollRoadsService"
SAVE = api.EnqueueOrderSaveRequest(
    order_id="order", created=Timestamp(seconds=1), can_switch_road=False, user_chose_toll_road=False
)
REQUESTS = {
    "RetrieveOrder": ("api-proxy", api.RetrieveOrderRequest(order_id="order")),
    "BatchRetrieveOrders": ("api-proxy", api.BatchRetrieveOrdersRequest(order_ids=["order"])),
    "SaveOffer": ("routestats", api.SaveOfferRequest(offer_id="offer")),
    "EnqueueOrderSave": ("processing", SAVE),
}


async def test_callers_of_a_service_get_the_reason_before_their_time_is_up(
    proxy: TcpProxy, url: str, keys_dir: Path, config_dir: Path
) -> None:
    async with (
        suite_in_process(database_url=url, keys_dir=keys_dir, config_dir=config_dir, services=["toll-roads"]) as suite,
        suite.channel() as channel,
    ):
        proxy.set(Mode.REFUSE)
        for method, (source, request) in REQUESTS.items():
            metadata = suite.metadata(source, "toll-roads")
            error = await failure_of(channel, f"{SERVICE}/{method}", request, metadata=metadata)
            assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"), method
            assert error.retry_after
