"""RetrieveOrder: the road of the latest change, found at a price that does not grow."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from ridehail_clients import AsyncTollRoadsClient, OrderNotFound, OrderRoad, RetryPolicy
from ridehail_servers.chassis import errors
from ridehail_servers.toll_roads.road_lookup import RoadsByOrder
from ridehail_servers.toll_roads.store import Road, TollRoadsStore
from tests.support.databases import CountingDatabase, opened_as
from tests.support.locks import locked_table
from tests.support.read_counters import counted
from tests.support.suite_in_process import SuiteInProcess
from tests.support.toll_roads import put_order, put_orders
from tests.support.waiting import until

T0 = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


# --- which road


@pytest.mark.parametrize("arrival", list(itertools.permutations(range(3))))
async def test_the_latest_change_wins_whatever_the_order_of_arrival(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient, arrival: tuple[int, ...]
) -> None:
    changes = [(T0, True), (T0 + MICROSECOND, False), (T0 + 2 * MICROSECOND, True)]
    await put_order(suite, "order", *(changes[index] for index in arrival))
    assert await api_proxy.retrieve_order(order_id="order") == OrderRoad("order", True, True, T0 + 2 * MICROSECOND)


@pytest.mark.parametrize("can_switch_road", [True, False])
@pytest.mark.parametrize("has_toll_road", [True, False])
async def test_the_response_is_what_is_stored(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient, has_toll_road: bool, can_switch_road: bool
) -> None:
    await put_order(suite, "order", (T0, has_toll_road), can_switch_road=can_switch_road)
    assert await api_proxy.retrieve_order(order_id="order") == OrderRoad("order", has_toll_road, can_switch_road, T0)


@pytest.mark.parametrize(
    "created", [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]
)
async def test_early_timestamps_are_kept_to_the_microsecond(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient, created: datetime
) -> None:
    await put_order(suite, "order", (created, True))
    assert (await api_proxy.retrieve_order(order_id="order")).created == created


@pytest.mark.parametrize("order_id", ["заказ № 1", "o'; DROP TABLE toll_roads.orders; --", "%s", "\U0001f695" * 128])
async def test_ids_with_sql_syntax_are_plain_ids(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient, order_id: str
) -> None:
    await put_order(suite, order_id, (T0, True))
    assert (await api_proxy.retrieve_order(order_id=order_id)).has_toll_road


# --- no road


async def test_an_unknown_order_is_not_found(api_proxy: AsyncTollRoadsClient) -> None:
    with pytest.raises(OrderNotFound) as caught:
        await api_proxy.retrieve_order(order_id="unknown")
    assert caught.value.metadata == {"order_id": "unknown"}


async def test_an_order_without_any_change_is_not_found(suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient) -> None:
    await put_order(suite, "order")
    with pytest.raises(OrderNotFound):
        await api_proxy.retrieve_order(order_id="order")


async def test_a_prefix_or_another_case_is_another_order(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient
) -> None:
    await put_order(suite, "Order", (T0, True))
    for other in ("order", "Orde", "Order ", " Order"):
        with pytest.raises(OrderNotFound):
            await api_proxy.retrieve_order(order_id=other)


# --- its price


@pytest.fixture
async def counting(suite: SuiteInProcess) -> AsyncIterator[CountingDatabase]:
    async with opened_as(CountingDatabase, suite.database_url) as database:
        yield database


async def test_a_hundred_lookups_at_once_share_a_few_queries(suite: SuiteInProcess, counting: CountingDatabase) -> None:
    order_ids = await put_orders(suite, 50, created=T0)
    roads = RoadsByOrder(counting, TollRoadsStore())

    async def road_of(order_id: str) -> Road | None:
        try:
            return await roads.road_of(order_id)
        except errors.OrderNotFound:
            return None

    found = await asyncio.gather(*map(road_of, [*order_ids, *(f"unknown-{n}" for n in range(50))]))
    assert found == [Road(order_id, True, True, T0) for order_id in order_ids] + [None] * 50
    assert counting.reads <= 4


async def test_a_lookup_by_itself_is_one_query(suite: SuiteInProcess, counting: CountingDatabase) -> None:
    await put_order(suite, "order", (T0, True))
    await RoadsByOrder(counting, TollRoadsStore()).road_of("order")
    assert counting.reads == 1


async def test_calls_of_many_clients_share_queries(suite: SuiteInProcess) -> None:
    # given: a hundred calls that all wait for the database
    order_ids = await put_orders(suite, 100, created=T0)
    before = await statements(suite)
    ticket, patient = suite.ticket("api-proxy"), RetryPolicy(attempts=10)
    clients = [AsyncTollRoadsClient(suite.address, ticket=ticket, retry=patient, attempt_timeout=5) for _ in range(4)]
    async with locked_table(suite.database_url, "toll_roads.orders") as lock:
        calls = [
            asyncio.create_task(clients[number % 4].retrieve_order(order_id=order_id, timeout=10))
            for number, order_id in enumerate(order_ids)
        ]
        await until(lambda: REGISTRY.get_sample_value("ridehail_rpc_in_flight") == len(calls))
        # when: it responds again
        await lock.release()
        roads = await asyncio.gather(*calls)
    for client in clients:
        await client.close()
    # then
    assert [road.order_id for road in roads] == order_ids
    assert await statements(suite) - before < 50  # of which counting takes some, as connections are made anew


async def statements(suite: SuiteInProcess) -> int:
    """Returns how many statements the service has sent by now. Each is a transaction of its own."""
    query = "SELECT xact_commit::int FROM pg_stat_database WHERE datname = current_database()"
    (number,) = await counted(suite.database_url, query)
    assert isinstance(number, int)
    return number


async def test_the_cost_of_a_lookup_does_not_grow_with_the_tables(suite: SuiteInProcess) -> None:
    await put_orders(suite, 20_000, created=T0)
    await suite.execute(
        "INSERT INTO toll_roads.log_has_toll_road SELECT 'order-1', now() - n * interval '1 s', true "
        "FROM generate_series(1, 5000) n"
    )
    await suite.execute("ANALYZE toll_roads.orders, toll_roads.log_has_toll_road")

    before = await table_reads(suite)
    async with suite.database("toll-roads").connection() as connection:
        rows = await TollRoadsStore().latest_roads(connection, ["order-1", "order-2", "unknown"])
    assert {row.order_id for row in rows} == {"order-1", "order-2"}

    whole_tables, single_rows = (after - past for after, past in zip(await table_reads(suite), before, strict=True))
    assert whole_tables == 0
    assert single_rows <= 4  # of each found order its own row and its latest change


async def table_reads(suite: SuiteInProcess) -> tuple[int, ...]:
    """Returns how often tables of toll_roads were read whole, and how many rows were fetched by an index."""
    return await counted(
        suite.database_url,
        "SELECT sum(seq_scan)::int, sum(idx_tup_fetch)::int FROM pg_stat_user_tables WHERE schemaname = 'toll_roads'",
    )
