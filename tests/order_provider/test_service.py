"""What the services that keep orders promise, over gRPC and a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import grpc
import pytest
from hypothesis import HealthCheck, given, settings

from ridehail_clients import (
    ActiveOrder,
    ActiveOrders,
    AsyncOrderProviderClient,
    CallerNotAllowed,
    JsonInput,
    OrderOwnerMismatch,
    ServiceError,
    TicketWrongDestination,
)
from ridehail_clients.json_values import JsonValue
from ridehail_servers.chassis.documents import DEEPEST
from ridehail_servers.chassis.service_definition import Demo
from ridehail_servers.reference.order_provider.definition import EATS, GROCERY
from ridehail_servers.reference.order_provider.store import OrderStore
from tests.order_core.test_document import documents
from tests.support.suite_in_process import SuiteInProcess

COOKING: Mapping[str, JsonInput] = {"restaurant": "Noodle bar", "dishes": [{"name": "soup", "price": 4.5}], "tip": None}


async def put(client: AsyncOrderProviderClient, orderid: str = "order", *, uid: str = "400", **order: object) -> int:
    """Puts an order of which only some matters."""
    return await client.put_order(orderid=orderid, yandex_uid=uid, **{"status": "cooking", **order})  # type: ignore[arg-type]  # mixed


async def listed(client: AsyncOrderProviderClient, uid: str = "400") -> tuple[ActiveOrder, ...]:
    return (await client.list_active_orders(yandex_uid=uid)).orders


# --- PutOrder


async def test_an_order_is_told_as_it_was_put(eats: AsyncOrderProviderClient) -> None:
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
    for _ in range(DEEPEST - 1):
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


async def test_a_finished_order_is_not_another_passengers_either(eats: AsyncOrderProviderClient) -> None:
    await put(eats, finished=True)

    with pytest.raises(OrderOwnerMismatch):
        await put(eats, uid="666")


async def test_of_many_calls_at_once_each_gets_a_number_of_its_own_and_the_last_one_stays(
    running: SuiteInProcess, eats: AsyncOrderProviderClient
) -> None:
    # An attempt that is repeated on a busy machine would take a number of its own.
    patient = AsyncOrderProviderClient(
        running.address, service="eats-orders", ticket=running.ticket("admin"), attempt_timeout=30.0
    )

    async def one(n: int) -> tuple[int, str]:
        return await put(patient, status=f"status-{n}", timeout=30.0), f"status-{n}"

    async with patient:
        statuses = dict(await asyncio.gather(*(one(n) for n in range(60))))

    assert sorted(statuses) == list(range(1, 61))
    (order,) = await listed(eats)
    assert (order.sequence, order.status) == (60, statuses[60])


async def test_of_two_passengers_who_claim_an_order_at_once_one_gets_it(eats: AsyncOrderProviderClient) -> None:
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


async def test_the_list_reads_nothing_but_the_orders_under_way(
    running: SuiteInProcess, eats: AsyncOrderProviderClient
) -> None:
    await running.execute(
        """
        INSERT INTO eats_orders.orders
        SELECT 'done-' || n, '400', 'delivered', '{}', '{}', true, 1, now(), now() FROM generate_series(1, 2000) AS n
        """
    )
    await running.execute("ANALYZE eats_orders.orders")
    await put(eats)
    async with running.database("eats-orders").connection() as connection:
        # As after the first five calls, when the server may plan without looking at the parameters.
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute("SET enable_seqscan = off")
        found = await OrderStore().list_active(connection, "400", limit=100)
        await connection.execute("SELECT pg_stat_force_next_flush()")

    assert [order.orderid for order in found] == ["order"]
    scans = await running.rows(
        "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes"
        " WHERE schemaname = 'eats_orders' AND indexrelname = 'orders_active_idx'"
    )
    assert scans == [(1, 1)]


# --- two services, one contract


async def test_each_service_has_its_own_orders(
    running: SuiteInProcess, eats: AsyncOrderProviderClient, grocery: AsyncOrderProviderClient
) -> None:
    await put(eats, uid="400")
    await put(eats, uid="400")

    assert await put(grocery, uid="401", status="assembling") == 1
    assert [order.sequence for order in await listed(eats)] == [2]
    assert await listed(grocery) == ()
    assert [order.status for order in await listed(grocery, "401")] == ["assembling"]
    assert await running.rows("SELECT yandex_uid FROM eats_orders.orders") == [("400",)]
    assert await running.rows("SELECT yandex_uid FROM grocery_orders.orders") == [("401",)]


async def test_a_ticket_for_neither_of_them_is_refused(running: SuiteInProcess) -> None:
    ticket = running.ticket("admin")
    async with AsyncOrderProviderClient(running.address, service="order-core", ticket=ticket) as stranger:
        with pytest.raises(TicketWrongDestination):
            await listed(stranger)


@pytest.mark.parametrize("service", ["eats-orders", "grocery-orders"])
async def test_who_may_put_and_who_may_list(running: SuiteInProcess, service: str) -> None:
    async def outcome(source: str, call: str) -> type[ServiceError] | None:
        ticket = running.ticket(source)
        async with AsyncOrderProviderClient(running.address, service=service, ticket=ticket) as client:
            try:
                await (put(client) if call == "put" else listed(client))
            except ServiceError as error:
                return type(error)
            return None

    outcomes = {
        (source, call): await outcome(source, call)
        for source in ("admin", "order-state", "api-proxy", "gateway", service)
        for call in ("put", "list")
    }

    allowed = {("admin", "put"), ("admin", "list"), ("order-state", "list")}
    assert outcomes == {key: None if key in allowed else CallerNotAllowed for key in outcomes}


# --- the demo


async def test_the_demo_puts_an_order_of_each_service_once(
    running: SuiteInProcess, eats: AsyncOrderProviderClient, grocery: AsyncOrderProviderClient
) -> None:
    demo = Demo(
        grpc_address=running.address,
        http_address="",
        internal_http_address="",
        command="ridehail",
        data_dir_option="",
        ticket=lambda source, destination: running.ticket(source)(destination),
        clock=lambda: datetime(2026, 11, 20, tzinfo=UTC),
    )
    assert EATS.demo is not None
    assert GROCERY.demo is not None

    examples = [example for _ in range(2) for load in (EATS.demo, GROCERY.demo) for example in await load(demo)]

    assert all(example.command.startswith("grpcurl ") for example in examples)
    told = [
        (order.orderid, order.sequence) for client in (eats, grocery) for order in await listed(client, "4000000001")
    ]
    assert told == [("demo-order-eats", 1), ("demo-order-grocery", 1)]
