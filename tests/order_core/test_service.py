"""The RPCs, through the client library, a real channel and a real Postgres."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime

import pytest
from google.protobuf.struct_pb2 import Struct, Value

from ridehail.ordercore.v1 import order_core_api_pb2 as api
from ridehail_clients import (
    ActiveOrder,
    ActiveOrders,
    AsyncOrderCoreClient,
    InvalidRequest,
    JsonInput,
    JsonObject,
    JsonValue,
    OrderFields,
    OrderFieldTypeMismatch,
    OrderInfo,
    OrderInfos,
    OrderNotFound,
    OrderVersionConflict,
)
from ridehail_servers.chassis.service_definition import Demo
from ridehail_servers.reference.order_core.definition import DEFINITION
from tests.support.log_capture import captured_logs
from tests.support.suite_in_process import SuiteInProcess

RIDE: JsonObject = {
    "order": {
        "version": 4,
        "status": "driving",
        "rsk": "sharing-key",
        "user_id": "user",
        "fixed_price": {"price": 1290, "driver_price": 1140.5},
    },
    "changes": {"objects": [{"id": "1", "type": "comment"}]},
    "parts": {"order": "4", "route": 2, "broken": None},
    "details": {"tariff": "comfort", "seats": [1, 2]},
}


@pytest.fixture
async def ride(client: AsyncOrderCoreClient) -> str:
    await client.put_order(order_id="ride", yandex_uid="uid", document=RIDE)
    return "ride"


async def the_whole(client: AsyncOrderCoreClient, order_id: str) -> OrderFields:
    return await client.get_order_fields(order_id=order_id, fields=["order", "changes", "parts", "details", "x"])


# --- PutOrder


@pytest.mark.parametrize(("document", "version"), [({}, 1), ({"order": {"status": "new"}}, 1), (RIDE, 4)])
async def test_a_put_order_is_at_its_own_version_or_at_the_first(
    client: AsyncOrderCoreClient, document: JsonObject, version: int
) -> None:
    assert await client.put_order(order_id="order", yandex_uid="uid", document=document) == version

    assert (await the_whole(client, "order")).version == version


async def test_a_put_order_replaces_the_older_one(client: AsyncOrderCoreClient, ride: str) -> None:
    await client.put_order(order_id=ride, yandex_uid="uid-2", document={"x": 1})

    assert await the_whole(client, ride) == OrderFields(fields={"x": 1, "order": {"version": 1}}, version=1)
    assert (await client.get_order_info(order_id=ride)).yandex_uid == "uid-2"


@pytest.mark.parametrize(
    ("value", "field", "rule"),
    [
        (Value(number_value=math.nan), 'document["x"]', "json.number"),
        (Value(number_value=-math.inf), 'document["x"]', "json.number"),
        (Value(string_value="a\0b"), 'document["x"]', "json.no_nul"),
        (Value(struct_value=Struct(fields={"a\0": Value(bool_value=True)})), 'document["x"]', "json.no_nul"),
    ],
)
async def test_values_that_json_cannot_hold_are_refused_by_name(
    running: SuiteInProcess, client: AsyncOrderCoreClient, value: Value, field: str, rule: str
) -> None:
    request = api.PutOrderRequest(order_id="order", yandex_uid="uid", document=Struct(fields={"x": value}))

    with pytest.raises(InvalidRequest) as caught:
        # The client library itself refuses to send such values.
        await client._transport.call(client._stub.PutOrder, request, timeout=None, metadata=())

    assert [(violation.field, violation.reason) for violation in caught.value.violations] == [(field, rule)]
    assert await running.rows("SELECT 1 FROM order_core.orders") == []


# --- GetOrderFields


async def test_the_fields_that_the_document_has_are_read(client: AsyncOrderCoreClient, ride: str) -> None:
    found = await client.get_order_fields(
        order_id=ride, fields=["order.fixed_price.price", "order.status", "order.nothing", "changes.objects.0"]
    )

    assert found == OrderFields(fields={"order": {"fixed_price": {"price": 1290}, "status": "driving"}}, version=4)


async def test_any_document_is_read_as_it_was_put(client: AsyncOrderCoreClient) -> None:
    document: JsonObject = {
        "x": [1e15, 5e-324, -0.5, 2**53 - 1, 1 - 2**53, None, True, "\u2028 \U0001f600", {"": []}, {}],
        "order": {"version": 1},
    }
    await client.put_order(order_id="order", yandex_uid="uid", document=document)

    assert await the_whole(client, "order") == OrderFields(fields=document, version=1)


async def test_the_deepest_document_that_updates_can_create_is_returned(client: AsyncOrderCoreClient) -> None:
    deep: JsonInput = 1
    for _ in range(10):
        deep = {"v": deep}
    path = ".".join("x" * 20)
    await client.put_order(order_id="order", yandex_uid="uid", document={})
    await client.set_order_fields(order_id="order", set={path: deep})

    with pytest.raises(InvalidRequest) as caught:
        await client.set_order_fields(order_id="order", set={path: {"v": deep}})

    assert [violation.reason for violation in caught.value.violations] == ["json.depth"]
    assert (await the_whole(client, "order")).version == 2


# --- SetOrderFields


async def test_an_update_makes_all_of_its_changes(
    running: SuiteInProcess, client: AsyncOrderCoreClient, ride: str
) -> None:
    version = await client.set_order_fields(
        order_id=ride,
        expected_version=4,
        set={"order_info.need_sync": True},
        unset=["order.fixed_price.price", "order.fixed_price.driver_price"],
        push={"changes.objects": [{"id": "2", "type": "taximeter_price", "value": True}]},
        increment={"order.version": 2},
        call_processing=True,
    )

    assert version == 6
    found = await client.get_order_fields(order_id=ride, fields=["order", "order_info", "changes"])
    assert found.fields == {
        "order": {"version": 6, "status": "driving", "rsk": "sharing-key", "user_id": "user", "fixed_price": {}},
        "order_info": {"need_sync": True},
        "changes": {"objects": [{"id": "1", "type": "comment"}, {"id": "2", "type": "taximeter_price", "value": True}]},
    }
    assert await running.rows("SELECT order_id, version FROM order_core.processing_events") == [(ride, 6)]


async def test_processing_is_called_without_a_change_too(
    running: SuiteInProcess, client: AsyncOrderCoreClient, ride: str
) -> None:
    await client.set_order_fields(order_id=ride, set={"x": 1})
    await client.set_order_fields(order_id=ride, call_processing=True)

    assert await running.rows("SELECT version FROM order_core.processing_events") == [(6,)]


async def test_an_update_of_another_version_is_aborted(
    running: SuiteInProcess, client: AsyncOrderCoreClient, ride: str
) -> None:
    with pytest.raises(OrderVersionConflict) as caught:
        await client.set_order_fields(order_id=ride, expected_version=3, set={"x": 1}, call_processing=True)

    assert caught.value.metadata == {"order_id": ride, "current_version": "4"}
    assert await the_whole(client, ride) == OrderFields(fields=RIDE, version=4)
    assert await running.rows("SELECT 1 FROM order_core.processing_events") == []


async def test_an_update_can_expect_version_0(client: AsyncOrderCoreClient, ride: str) -> None:
    with pytest.raises(OrderVersionConflict):
        await client.set_order_fields(order_id=ride, expected_version=0, set={"x": 1})


async def test_an_update_that_does_not_fit_changes_nothing(
    running: SuiteInProcess, client: AsyncOrderCoreClient, ride: str
) -> None:
    with pytest.raises(OrderFieldTypeMismatch) as caught:
        await client.set_order_fields(
            order_id=ride, set={"x": 1}, push={"order.status": [1]}, unset=["order.rsk"], call_processing=True
        )

    assert caught.value.metadata == {"order_id": ride, "path": "order.status"}
    assert await the_whole(client, ride) == OrderFields(fields=RIDE, version=4)
    assert await running.rows("SELECT 1 FROM order_core.processing_events") == []


async def test_conflicting_changes_are_refused_by_name(client: AsyncOrderCoreClient, ride: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await client.set_order_fields(order_id=ride, set={"order.a": 1}, unset=["order.a.b"])

    assert [(one.field, one.reason) for one in caught.value.violations] == [("unset[0]", "set_order_fields.overlap")]


async def test_exactly_one_of_concurrent_updates_of_a_version_succeeds(client: AsyncOrderCoreClient, ride: str) -> None:
    # The pool opens its connections as they are needed: only later rounds have many at once.
    for version in range(4, 14):
        outcomes = await asyncio.gather(
            *(client.set_order_fields(order_id=ride, expected_version=version, set={"x": n}) for n in range(16)),
            return_exceptions=True,
        )

        winners = [n for n, outcome in enumerate(outcomes) if outcome == version + 1]
        losers = [outcome for outcome in outcomes if isinstance(outcome, OrderVersionConflict)]
        assert (len(winners), len(losers)) == (1, 15)
        assert {loser.metadata["current_version"] for loser in losers} == {str(version + 1)}
        found = await client.get_order_fields(order_id=ride, fields=["x"])
        assert found == OrderFields(fields={"x": winners[0]}, version=version + 1)


async def test_no_update_without_an_expected_version_is_lost(
    running: SuiteInProcess, client: AsyncOrderCoreClient
) -> None:
    await client.put_order(order_id="order", yandex_uid="uid", document={})

    versions = await asyncio.gather(
        *(
            client.set_order_fields(order_id="order", increment={"x.n": 1}, push={"x.l": [n]}, call_processing=True)
            for n in range(20)
        )
    )

    assert sorted(versions) == list(range(2, 22))
    found = await client.get_order_fields(order_id="order", fields=["x.n", "x.l"])
    assert found.version == 21
    x = found.fields["x"]
    assert isinstance(x, dict)
    assert x["n"] == 20
    assert isinstance(x["l"], list)
    assert sorted(map(int, map(str, x["l"]))) == list(range(20))
    events = await running.rows("SELECT version FROM order_core.processing_events ORDER BY id")
    assert events == [(version,) for version in range(2, 22)]


# --- GetOrderInfo


def shown(value: JsonValue) -> str:
    """Returns what is shown of a status or a sharing key."""
    return value if isinstance(value, str) else ""


# Postgres reads them where `document.text_at` would: texts only, by way of objects only.
VALUES: list[JsonValue] = ["driving", "", "é\U0001f600", '"quoted"', 5, True, None, ["driving"], {"status": "driving"}]
SHORT = "x" * 299 + "é"


async def test_the_info_has_status_and_sharing_key_where_they_are_texts(client: AsyncOrderCoreClient) -> None:
    documents: dict[str, JsonObject] = {
        **{f"status-{n}": {"order": {"status": value, "rsk": "key"}} for n, value in enumerate(VALUES)},
        **{f"rsk-{n}": {"order": {"rsk": value}} for n, value in enumerate(VALUES)},
        "empty": {},
        "status is elsewhere": {"status": "driving", "rsk": "key"},
        "longest": {"order": {"status": SHORT, "rsk": SHORT}},
    }
    for order_id, document in documents.items():
        await client.put_order(order_id=order_id, yandex_uid="uid", document=document)
    expected = []
    for order_id, document in documents.items():
        order = document.get("order", {})
        assert isinstance(order, dict)
        expected.append(OrderInfo(order_id, "uid", shown(order.get("status")), shown(order.get("rsk"))))

    assert [await client.get_order_info(order_id=order_id) for order_id in documents] == expected
    assert (await client.batch_get_order_info(order_ids=[*documents])).orders == (*expected,)


async def test_a_batch_has_each_requested_order_once_as_found_or_as_missing(client: AsyncOrderCoreClient) -> None:
    for order_id in ("b", "a", "c"):
        await client.put_order(order_id=order_id, yandex_uid=f"uid-{order_id}", document={"order": {"rsk": order_id}})

    infos = await client.batch_get_order_info(order_ids=["c", "nothing", "a", "c", "Nothing", "nothing"])

    assert infos == OrderInfos(
        orders=(OrderInfo("c", "uid-c", "", "c"), OrderInfo("a", "uid-a", "", "a")),
        missing_order_ids=("nothing", "Nothing"),
    )


async def test_an_order_with_a_long_text_is_found_only_alone(client: AsyncOrderCoreClient) -> None:
    for order_id, order in {"status": {"status": SHORT + "x"}, "key": {"rsk": "x" * 1_000_000}, "short": {}}.items():
        await client.put_order(order_id=order_id, yandex_uid="uid", document={"order": order})

    infos = await client.batch_get_order_info(order_ids=["status", "key", "short"])

    assert infos == OrderInfos(orders=(OrderInfo("short", "uid", "", ""),), missing_order_ids=())
    assert (await client.get_order_info(order_id="status")).status == SHORT + "x"
    assert len((await client.get_order_info(order_id="key")).sharing_key) == 1_000_000


async def test_the_largest_response_to_a_batch_arrives(running: SuiteInProcess, client: AsyncOrderCoreClient) -> None:
    await running.execute(
        "INSERT INTO order_core.orders"
        " SELECT rpad(number::text, 128, %s), repeat(%s, 128), jsonb_build_object('order', shown), now(), now()"
        " FROM jsonb_build_object('version', 1, 'status', repeat(%s, 300), 'rsk', repeat(%s, 300)) AS shown,"
        " generate_series(1001, 2000) AS number",
        *("\U0001f600",) * 4,
    )

    infos = await client.batch_get_order_info(order_ids=[f"{n}".ljust(128, "\U0001f600") for n in range(1001, 2001)])

    assert len(infos.orders) == 1000


async def test_lookups_at_the_same_time_share_batches_and_each_has_its_own_result(running: SuiteInProcess) -> None:
    admin = running.ticket("admin")
    async with AsyncOrderCoreClient(running.address, ticket=admin, attempt_timeout=60, coalesce=True) as client:
        for order_id, status in {"short": "driving", "long": "x" * 301}.items():
            await client.put_order(order_id=order_id, yandex_uid="uid", document={"order": {"status": status}})
        with captured_logs(level="DEBUG") as log:
            order_ids = ["short", "long", "nothing", "\x00"] * 10
            calls = [client.get_order_info(order_id=order_id, timeout=60) for order_id in order_ids]
            short, long, nothing, bad = (await asyncio.gather(*calls, return_exceptions=True))[-4:]

    assert short == OrderInfo("short", "uid", "driving", "")
    assert long == OrderInfo("long", "uid", "x" * 301, "")
    assert isinstance(nothing, OrderNotFound)
    assert nothing.metadata == {"order_id": "nothing"}
    assert isinstance(bad, InvalidRequest)
    assert 1 <= log.text.count("OrderCoreService/BatchGetOrderInfo") <= 10


# --- ListActiveOrders


async def test_active_orders_are_listed(client: AsyncOrderCoreClient, ride: str) -> None:
    await client.put_order(order_id="done", yandex_uid="uid", document={"order": {"status": "finished"}})
    await client.put_order(order_id="young", yandex_uid="uid", document={"details": "none", "parts": 1})
    await client.put_order(order_id="another's", yandex_uid="uid-2", document={})

    listed = await client.list_active_orders(yandex_uid="uid")

    first = ActiveOrder(
        orderid=ride,
        status="driving",
        parts={"order": "4", "route": "2"},
        details={"tariff": "comfort", "seats": [1, 2]},
        sequence=4,
    )
    assert listed == ActiveOrders(
        orders=(first, ActiveOrder(orderid="young", status="", parts={}, details={}, sequence=1)),
        can_make_more_orders=None,
        no_more_orders_reason=None,
    )


async def test_every_change_raises_the_listed_sequence(client: AsyncOrderCoreClient, ride: str) -> None:
    async def sequence() -> int:
        (order,) = (await client.list_active_orders(yandex_uid="uid")).orders
        return order.sequence

    listed = [await sequence()]
    for changes in ({"set": {"parts.route": "3"}}, {"increment": {"order.version": 5}}, {"call_processing": True}):
        version = await client.set_order_fields(order_id=ride, **changes)
        listed.append(await sequence())
        assert listed[-1] == version
    assert listed == sorted(set(listed))


async def test_an_order_that_ends_leaves_the_list(client: AsyncOrderCoreClient, ride: str) -> None:
    await client.set_order_fields(order_id=ride, set={"order.status": "complete"})

    assert (await client.list_active_orders(yandex_uid="uid")).orders == ()


async def test_at_most_a_hundred_orders_are_listed(client: AsyncOrderCoreClient) -> None:
    for n in range(101):
        await client.put_order(order_id=f"order-{n}", yandex_uid="uid", document={})

    listed = await client.list_active_orders(yandex_uid="uid")

    assert [order.orderid for order in listed.orders] == [f"order-{n}" for n in range(100)]


# --- all


async def test_a_document_stays_within_a_mebibyte(client: AsyncOrderCoreClient) -> None:
    half = "x" * (512 * 1024)
    await client.put_order(order_id="large", yandex_uid="uid", document={"log": [half]})
    with pytest.raises(InvalidRequest) as refused:
        await client.set_order_fields(order_id="large", push={"log": [half]})
    assert [violation.reason for violation in refused.value.violations] == ["document.size"]
    with pytest.raises(InvalidRequest):
        await client.put_order(order_id="larger", yandex_uid="uid", document={"log": [half, half]})
    assert (await client.get_order_fields(order_id="large", fields=["log"])).fields == {"log": [half]}


async def test_the_first_ten_violations_of_a_request_are_reported(client: AsyncOrderCoreClient) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await client.get_order_fields(order_id="ride", fields=["a b" * 200] * 100)
    assert len(refused.value.violations) == 10
    assert refused.value.message.endswith("(and 99 more)")


async def test_an_unknown_order_is_not_found(client: AsyncOrderCoreClient) -> None:
    calls: Mapping[str, Awaitable[object]] = {
        "GetOrderFields": client.get_order_fields(order_id="nothing", fields=["order"]),
        "SetOrderFields": client.set_order_fields(order_id="nothing", set={"x": 1}),
        "GetOrderInfo": client.get_order_info(order_id="nothing"),
    }
    for call in calls.values():
        with pytest.raises(OrderNotFound) as caught:
            await call
        assert caught.value.metadata == {"order_id": "nothing"}


async def test_no_document_is_logged(client: AsyncOrderCoreClient, ride: str) -> None:
    secret = "a-passenger-s-secret"
    with captured_logs(level="DEBUG") as log:
        await client.set_order_fields(order_id=ride, set={"x": {"y": secret}})
        with pytest.raises(OrderFieldTypeMismatch):
            await client.set_order_fields(order_id=ride, push={"x": [secret]})
    assert "SetOrderFields" in log.text
    assert secret not in log.text


async def test_the_demo_puts_two_orders_of_one_passenger(running: SuiteInProcess, client: AsyncOrderCoreClient) -> None:
    demo = Demo(
        grpc_address=running.address,
        http_address="",
        internal_http_address="",
        command="ridehail",
        data_dir_option="",
        ticket=lambda source, destination: running.ticket(source)(destination),
        clock=lambda: datetime(2026, 11, 20, tzinfo=UTC),
    )
    assert DEFINITION.demo is not None

    examples = [*await DEFINITION.demo(demo), *await DEFINITION.demo(demo)]

    assert all(example.command.startswith("grpcurl ") for example in examples)
    listed = await client.list_active_orders(yandex_uid="4000000001")
    assert {order.orderid: order.status for order in listed.orders} == {
        "demo-order-toll": "driving",
        "demo-order-city": "pending",
    }
    offer = await client.get_order_fields(order_id="demo-order-toll", fields=["order.request.offer"])
    assert offer.fields == {"order": {"request": {"offer": "demo-offer-toll"}}}
