"""What the services that keep orders promise, over gRPC and a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc
import pytest
from hypothesis import HealthCheck, given, settings

from ridehail_clients import (
    ActiveOrder,
    ActiveOrders,
    AsyncOrderProviderClient,
    JsonInput,
    OrderOwnerMismatch,
)
from ridehail_kernel.json_values import JsonValue
from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.json_limits import MAX_DEPTH
from ridehail_servers.reference.order_provider.store import ProviderOrderStore
from tests.order_core.test_document import documents
from tests.support.suite_in_process import SuiteInProcess

COOKING: Mapping[str, JsonInput] = {"restaurant": "Noodle bar", "dishes": [{"name": "soup", "price": 4.5}], "tip": None}


async def put(client: AsyncOrderProviderClient, orderid: str = "order", *, uid: str = "400", **order: object) -> int:
    """Puts an order with defaults."""
    return await client.put_order(orderid=orderid, yandex_uid=uid, **{"status": "cooking", **order})  # type: ignore[arg-type]  # mixed


async def listed(client: AsyncOrderProviderClient, uid: str = "400") -> tuple[ActiveOrder, ...]:
    return (await client.list_active_orders(yandex_uid=uid)).orders


# --- PutOrder


async def test_an_order_is_listed_as_it_was_put(eats: AsyncOrderProviderClient) -> None:
    sequence = await put(eats, parts={"full_info": "17", "eats_tracking": "a"}, details=COOKING)

    assert sequence == 1
    assert await eats.list_active_orders(yandex_uid="400") == ActiveOrders(
        orders=(
            ActiveOrder(
                orderid="order",
                status="cooking",
                parts={"full_info": "17", "eats_tracking": "a"},
                details={"restaurant": "Noodle bar", "dishes": [{"name": "soup", "price": 4.5}], "tip": None},
                sequence=1,
            ),
        ),
        can_make_more_orders=None,
        no_more_orders_reason=None,
    )


@given(details=documents)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_details_come_back_as_they_were_put(
    eats: AsyncOrderProviderClient, details: dict[str, JsonValue]
) -> None:
    await put(eats, details=details)

    (order,) = await listed(eats)
    assert order.details == details


async def test_the_largest_and_the_deepest_order_comes_back(eats: AsyncOrderProviderClient) -> None:
    deepest: dict[str, JsonInput] = {}
    for _ in range(MAX_DEPTH - 1):
        deepest = {"a": deepest}
    largest = {"text": "x" * (64 * 1024 - len('{"text":""}'))}
    parts = {f"{n:02}{'n' * 126}": "v" * 128 for n in range(20)}

    await put(eats, "o" * 128, uid="u" * 128, status="s" * 128, parts=parts, details=largest)
    await put(eats, "deepest", uid="u" * 128, details=deepest)

    large, deep = await listed(eats, "u" * 128)
    assert (large.orderid, large.status, large.parts, large.details) == ("o" * 128, "s" * 128, parts, largest)
    assert deep.details == deepest


async def test_every_call_raises_the_sequence_by_one_even_a_repeat(eats: AsyncOrderProviderClient) -> None:
    assert [await put(eats) for _ in range(3)] == [1, 2, 3]
    assert await put(eats, finished=True) == 4
    assert await put(eats) == 5
    assert [order.sequence for order in await listed(eats)] == [5]


async def test_an_order_is_put_whole(eats: AsyncOrderProviderClient) -> None:
    await put(eats, parts={"full_info": "1", "eats_tracking": "1"}, details=COOKING)

    await put(eats, status="delivering", parts={"full_info": "2"})

    assert await listed(eats) == (ActiveOrder("order", "delivering", {"full_info": "2"}, {}, 2),)


async def test_an_order_of_another_passenger_is_refused_and_stays_as_it_was(eats: AsyncOrderProviderClient) -> None:
    await put(eats, parts={"full_info": "1"})
    before = await listed(eats)

    with pytest.raises(OrderOwnerMismatch) as caught:
        await put(eats, uid="666", status="stolen", finished=True)

    assert (caught.value.code, caught.value.metadata) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        {"order_id": "order"},
    )
    assert "400" not in caught.value.message + str(caught.value.metadata)
    assert await listed(eats) == before
    assert await listed(eats, "666") == ()


async def test_a_finished_order_cannot_be_put_by_another_passenger(eats: AsyncOrderProviderClient) -> None:
    await put(eats, finished=True)

    with pytest.raises(OrderOwnerMismatch):
        await put(eats, uid="666")


async def test_concurrent_calls_get_sequences_of_their_own_and_the_last_one_is_stored(
    running: SuiteInProcess, eats: AsyncOrderProviderClient
) -> None:
    # An attempt that is repeated on a busy machine would take a number of its own.
    client = AsyncOrderProviderClient(
        running.address, service="eats-orders", ticket=running.ticket("admin"), attempt_timeout=30.0
    )

    async def one(n: int) -> tuple[int, str]:
        return await put(client, status=f"status-{n}", timeout=30.0), f"status-{n}"

    async with client:
        statuses = dict(await asyncio.gather(*(one(n) for n in range(60))))

    assert sorted(statuses) == list(range(1, 61))
    (order,) = await listed(eats)
    assert (order.sequence, order.status) == (60, statuses[60])


async def test_one_of_two_passengers_who_put_an_order_at_once_gets_it(eats: AsyncOrderProviderClient) -> None:
    for n in range(5):
        orderid = f"order-{n}"
        claims = await asyncio.gather(
            *(put(eats, orderid, uid=f"uid-{m % 2}") for m in range(20)), return_exceptions=True
        )

        refused = [claim for claim in claims if isinstance(claim, BaseException)]
        assert {type(claim) for claim in refused} == {OrderOwnerMismatch}
        assert len(refused) == 10
        owners = [uid for uid in ("uid-0", "uid-1") if orderid in {order.orderid for order in await listed(eats, uid)}]
        assert len(owners) == 1


# --- ListActiveOrders


async def test_a_passengers_orders_are_listed_the_oldest_first_until_they_end(eats: AsyncOrderProviderClient) -> None:
    for orderid in ("b", "c", "a"):
        await put(eats, orderid)
    await put(eats, "another's", uid="401")
    # A change leaves an order at its place.
    await put(eats, "b", status="delivering")
    assert [order.orderid for order in await listed(eats)] == ["b", "c", "a"]

    await put(eats, "c", status="delivered", finished=True)
    assert [order.orderid for order in await listed(eats)] == ["b", "a"]

    await put(eats, "c")
    assert [(order.orderid, order.sequence) for order in await listed(eats)] == [("b", 2), ("c", 3), ("a", 1)]


async def test_at_most_a_hundred_orders_are_listed(running: SuiteInProcess, eats: AsyncOrderProviderClient) -> None:
    await running.execute(
        """
        INSERT INTO eats_orders.orders
        SELECT 'order-' || n, '400', 'cooking', '{}', '{}', n = 1, 1, now() + n * interval '1 s', now()
        FROM generate_series(1, 102) AS n
        """
    )

    assert [order.orderid for order in await listed(eats)] == [f"order-{n}" for n in range(2, 102)]


async def test_the_list_reads_only_active_orders(running: SuiteInProcess, eats: AsyncOrderProviderClient) -> None:
    await running.execute(
        """
        INSERT INTO eats_orders.orders
        SELECT 'done-' || n, '400', 'delivered', '{}', '{}', true, 1, now(), now() FROM generate_series(1, 2000) AS n
        """
    )
    await running.execute("ANALYZE eats_orders.orders")
    await put(eats)
    async with running.database("eats-orders").transaction() as connection:
        # As after the first five calls, when the server may plan without looking at the parameters.
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute("SET LOCAL enable_seqscan = off")
        before = await reads(connection)
        found = await ProviderOrderStore().list_active(connection, "400", limit=100)
        after = await reads(connection)

    assert [order.orderid for order in found] == ["order"]
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [0, 1, 1]


async def reads(connection: Connection) -> tuple[int, ...]:
    """Returns the numbers of scans of the table and its indexes, and of rows read through indexes."""
    cursor = await connection.execute(
        "SELECT seq_scan, idx_scan, idx_tup_fetch FROM pg_stat_xact_user_tables"
        " WHERE schemaname = 'eats_orders' AND relname = 'orders'"
    )
    return await cursor.fetchone() or ()
