"""Whatever is wrong with a request, it is refused by field and rule, and nothing is stored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2
from ridehail_clients import ServiceError, ServiceNotOwned
from ridehail_kernel.json_values import to_struct
from tests.order_state.harness import GET, GET_SERVICE, INVALID, POLL, REPORT, Harness, Rider, known
from tests.order_state.provider_server import order
from tests.support.calls import Metadata, call, failure_of

# What an id is, the shared rule decides; this one breaks it, in whatever field.
BAD_ID = "a\n"
GOOD_IDS = ["x", "x" * 128, "\u044b" * 128, "\U0001f695", "a b", "%s", "'", '"', "\\", "../x", "{},NULL", "<b>"]
CALLERS = {POLL: "gateway", INVALID: "gateway", GET: "api-proxy", GET_SERVICE: "api-proxy", REPORT: "eats-orders"}
Bad = tuple[str, Message, str, str]


def poll_of(*orders: order_state_pb2.KnownOrder, **fields: Any) -> api.PollOrdersStateRequest:
    return api.PollOrdersStateRequest(known_orders=orders, **fields)


def get_of(*orders: order_state_pb2.KnownOrder, **fields: Any) -> api.GetOrdersStateRequest:
    return api.GetOrdersStateRequest(**{"yandex_uid": "uid", "known_orders": orders, **fields})


def one_of(**fields: Any) -> api.GetServiceOrdersStateRequest:
    return api.GetServiceOrdersStateRequest(**{"yandex_uid": "uid", "service": "eats", **fields})


def report_of(**fields: Any) -> api.ReportOrderPartsRequest:
    return api.ReportOrderPartsRequest(
        **{"yandex_uid": "uid", "service": "eats", "orderid": "1", "sequence": 1, **fields}
    )


def invalid_of(shape: Mapping[str, str] | None = None, **fields: Any) -> api.ReportInvalidPartsRequest:
    """Returns a report of one invalid part; `shape`: path -> type."""
    entries = [order_state_pb2.ShapeEntry(path=path, type=kind) for path, kind in (shape or {}).items()]
    part = order_state_pb2.InvalidPart(
        **{"service": "taxi", "part_name": "info", "problem": "other", "count": 1, "shape": entries, **fields}
    )
    return api.ReportInvalidPartsRequest(parts=[part])


def requests_with_id(bad: str) -> list[Bad]:
    """Returns every request that has an id, with this one in it, and the path of the field."""
    quoted = bad.replace("\\", "\\\\").replace('"', '\\"')
    found: list[tuple[str, Message, str]] = [
        (GET, get_of(yandex_uid=bad), "yandex_uid"),
        (GET, get_of(supported_services=["taxi", bad]), "supported_services[1]"),
        (GET, get_of(upstreams={bad: order_state_pb2.Upstream(ok=False)}), f'upstreams["{quoted}"]'),
        (GET_SERVICE, one_of(yandex_uid=bad), "yandex_uid"),
        (GET_SERVICE, one_of(service=bad), "service"),
        (REPORT, report_of(yandex_uid=bad), "yandex_uid"),
        (REPORT, report_of(service=bad), "service"),
        (REPORT, report_of(orderid=bad), "orderid"),
        (REPORT, report_of(parts={"good": "1", bad: "1"}), f'parts["{quoted}"]'),
        (REPORT, report_of(parts={"good": "1", "part": bad}), 'parts["part"]'),
        (POLL, poll_of(tags={bad: "tag"}), f'tags["{quoted}"]'),
        (INVALID, invalid_of(service=bad), "parts[0].service"),
        (INVALID, invalid_of(part_name=bad), "parts[0].part_name"),
    ]
    for path, make in ((POLL, poll_of), (GET, get_of)):
        found += [
            (path, make(known("1"), known(bad)), "known_orders[1].orderid"),
            (path, make(known("1", bad)), "known_orders[0].service"),
            (path, make(known("1", tags={bad: "1"})), f'known_orders[0].tags["{quoted}"]'),
        ]
    return [(path, request, field, "string.id") for path, request, field in found]


def requests_that_are_too_much() -> list[Bad]:
    """Returns requests that are beyond a limit by one."""
    parts = {f"part-{number}": "1" for number in range(21)}
    services = [f"service-{number}" for number in range(21)]
    found: list[Bad] = [
        (REPORT, report_of(parts=parts), "parts", "map.max_pairs"),
        (REPORT, report_of(sequence=0), "sequence", "int64.gte"),
        (REPORT, report_of(sequence=-1), "sequence", "int64.gte"),
        (INVALID, api.ReportInvalidPartsRequest(), "parts", "repeated.min_items"),
        (INVALID, api.ReportInvalidPartsRequest(parts=list(invalid_of().parts) * 21), "parts", "repeated.max_items"),
        (INVALID, invalid_of(count=0), "parts[0].count", "int32.gte_lte"),
        (INVALID, invalid_of(count=1_001), "parts[0].count", "int32.gte_lte"),
        (INVALID, invalid_of(problem="ugly"), "parts[0].problem", "string.in"),
        (INVALID, invalid_of({f"$.a{n}": "null" for n in range(51)}), "parts[0].shape", "repeated.max_items"),
        (INVALID, invalid_of({"$.a": "date"}), "parts[0].shape[0].type", "string.in"),
        (INVALID, invalid_of({"": "null"}), "parts[0].shape[0].path", "string.field_path"),
        (INVALID, invalid_of({"$.a b": "null"}), "parts[0].shape[0].path", "string.field_path"),
        (INVALID, invalid_of({"$" + ".abcdefg" * 32: "null"}), "parts[0].shape[0].path", "string.max_len"),
        (POLL, poll_of(tags=dict.fromkeys(services, "")), "tags", "map.max_pairs"),
        (POLL, poll_of(tags={"taxi": "x" * 513}), 'tags["taxi"]', "string.max_len"),
        (GET, get_of(supported_services=services), "supported_services", "repeated.max_items"),
        (
            GET,
            get_of(upstreams=dict.fromkeys(services, order_state_pb2.Upstream(ok=False))),
            "upstreams",
            "map.max_pairs",
        ),
        (
            GET,
            get_of(upstreams={"taxi": order_state_pb2.Upstream(ok=True, orders=[order(str(n)) for n in range(101)])}),
            'upstreams["taxi"].orders',
            "repeated.max_items",
        ),
    ]
    for path, make in ((POLL, poll_of), (GET, get_of)):
        found += [
            (path, make(*(known(str(number)) for number in range(51))), "known_orders", "repeated.max_items"),
            (path, make(known("1"), known("2"), known("1")), "known_orders", "order_state.unique"),
            (path, make(known("1", "x"), known("1", "x", force=True)), "known_orders", "order_state.unique"),
            (path, make(known("1", tags=parts)), "known_orders[0].tags", "map.max_pairs"),
            (path, make(known("1", tags={"a": "x" * 257})), 'known_orders[0].tags["a"]', "string.max_len"),
            (path, make(known("1", status="x" * 129)), "known_orders[0].status", "string.max_len"),
        ]
    return found


def metadata_of(rider: Rider, path: str) -> Metadata:
    return rider.own_metadata() if path in {POLL, INVALID} else rider.harness.metadata(CALLERS[path])


async def failure(rider: Rider, path: str, request: Message | bytes) -> ServiceError:
    return await failure_of(rider.harness.channel, path, request, metadata=metadata_of(rider, path))


async def assert_nothing_happened(harness: Harness) -> None:
    assert await harness.stored() == []
    assert await harness.suite.rows("SELECT * FROM order_state.invalid_parts") == []
    assert sum(harness.queried().values()) == 0


async def assert_refused(rider: Rider, bad: Bad) -> None:
    path, request, field, rule = bad
    error = await failure(rider, path, request)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), (bad, error)
    assert (dict(error.metadata), error.retry_after) == ({}, None)
    violations = [(violation.field, violation.reason) for violation in error.violations]
    # Fields are named in 200 bytes at most, with control characters spelled out.
    (refused,) = violations
    assert refused[1] == rule, (bad, refused)
    assert refused[0].split('["')[0] == field.split('["')[0], (bad, refused)


async def test_a_bad_id_is_refused_in_every_field(harness: Harness, rider: Rider) -> None:
    for request in requests_with_id(BAD_ID):
        await assert_refused(rider, request)
    await assert_nothing_happened(harness)


async def test_what_is_beyond_a_limit_is_refused(harness: Harness, rider: Rider) -> None:
    for request in requests_that_are_too_much():
        await assert_refused(rider, request)
    await assert_nothing_happened(harness)


async def test_what_is_within_the_limits_is_taken(harness: Harness) -> None:
    rider = harness.rider("uid")
    parts: dict[str, Any] = {f"part-{number}-{'x' * 100}": "v" * 128 for number in range(20)}
    await rider.report("0", 2**63 - 1, **parts)
    tags = dict.fromkeys(parts, "t" * 256)
    orders = [known(str(number), tags=tags, status="s" * 128) for number in range(30)]
    response = await rider.poll(*orders, tags={f"service-{number}": "x" * 512 for number in range(20)})
    assert [one.orderid for one in response.orders] == [str(number) for number in range(30)]
    assert dict(response.orders[0].tags) == parts
    await rider.start(*orders, supported=[f"service-{number}" for number in range(20)])


async def test_any_other_printable_id_is_taken_and_is_only_an_id(harness: Harness) -> None:
    for good in GOOD_IDS:
        rider = harness.rider(good)
        parts: dict[str, Any] = {good: good}
        await rider.report(good, 1, service="taxi", **parts)
        with pytest.raises(ServiceNotOwned):
            await rider.report(good, 1, service=good, **parts)
        # A gateway names riders in a header, which has no such letters.
        if good.isascii():
            (state,) = (await rider.poll(known(good), tags={good: good})).orders
        else:
            unavailable = {"taxi": order_state_pb2.Upstream(ok=False)}
            (state,) = (await rider.start(known(good), supported=["taxi"], upstreams=unavailable)).orders
        assert (state.orderid, dict(state.tags), list(state.need_request)) == (good, {good: good}, [good])
    stored = await harness.suite.rows("SELECT yandex_uid, orderid, service FROM order_state.orders")
    assert set(stored) == {(good, good, "taxi") for good in GOOD_IDS}


@pytest.mark.parametrize("path", CALLERS)
async def test_bytes_that_are_no_message_are_refused(harness: Harness, rider: Rider, path: str) -> None:
    for garbage in (b"\xff", b"\x0a\xff\xff", b"\x0a\x02\xff\xfe", b"\x08", os.urandom(64) + b"\x07"):
        assert (await failure(rider, path, garbage)).code is grpc.StatusCode.INVALID_ARGUMENT
    too_large = await failure(rider, path, b"\x0a" + b"x" * 5_000_000)
    assert too_large.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await assert_nothing_happened(harness)


async def test_details_up_to_the_limits_come_back(rider: Rider) -> None:
    deep: dict[str, Any] = {}
    for _ in range(14):
        deep = {"x": [deep]}
    app = known("1", "laundry", details=to_struct(deep))
    assert (await rider.poll(app)).orders[0].details == app.details
    large = known("1", details=to_struct({"x": "y" * 250_000}))
    assert (await rider.poll(large)).orders[0].details == large.details


# --- who calls

KEEPERS = {"order-core": "taxi", "eats-orders": "eats", "grocery-orders": "grocery"}
GOOD: dict[str, Message] = {
    POLL: poll_of(),
    GET: get_of(),
    GET_SERVICE: one_of(),
    REPORT: report_of(),
    INVALID: invalid_of(),
}


async def test_services_without_access_query_and_report_nothing(harness: Harness, rider: Rider) -> None:
    for path, request in GOOD.items():
        for source in {"gateway", "processing", "eats-orders", "order-state", "toll-roads"} - {CALLERS[path]}:
            metadata = harness.metadata(source, "uid")
            error = await failure_of(harness.channel, path, request, metadata=metadata)
            assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"), path
    await assert_nothing_happened(harness)


async def test_a_poll_without_passenger_is_refused(harness: Harness, rider: Rider) -> None:
    error = await failure_of(harness.channel, POLL, GOOD[POLL], metadata=harness.metadata("gateway"))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "PASSENGER_MISSING")


async def test_services_that_keep_orders_may_report_them(harness: Harness) -> None:
    for number, (source, service) in enumerate([*KEEPERS.items(), ("admin", "eats")], 1):
        request = report_of(service=service, sequence=number)
        await call(harness.channel, REPORT, request, metadata=harness.metadata(source))
    assert len(await harness.stored()) == 3


async def test_services_report_orders_of_their_own_and_no_others(harness: Harness) -> None:
    for source, own in KEEPERS.items():
        for service in (*KEEPERS.values(), "laundry"):
            if service == own:
                continue
            request, metadata = report_of(service=service), harness.metadata(source)
            error = await failure_of(harness.channel, REPORT, request, metadata=metadata)
            assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SERVICE_NOT_OWNED")
            assert error.metadata == {"caller": source, "service": service}
    await assert_nothing_happened(harness)
