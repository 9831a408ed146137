"""Whatever is wrong with a request, it is refused by field and rule, and nothing is stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.support.calls import Metadata, call, failure_of
from tests.support.databases import SCHEMAS
from tests.support.suite_in_process import SuiteInProcess

TOLL_ROADS = "/ridehail.tollroads.v1.TollRoadsService"
SAVE_OFFER = f"{TOLL_ROADS}/SaveOffer"
RETRIEVE = f"{TOLL_ROADS}/RetrieveOrder"
BATCH = f"{TOLL_ROADS}/BatchRetrieveOrders"
ENQUEUE = f"{TOLL_ROADS}/EnqueueOrderSave"
SWITCH_ROAD = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
CALLERS = {
    SAVE_OFFER: "routestats",
    RETRIEVE: "api-proxy",
    BATCH: "driver-orders-builder",
    ENQUEUE: "processing",
    SWITCH_ROAD: "gateway",
}

BAD_IDS = {
    "empty": "",
    "too long": "x" * 129,
    "too long in another script": "\u044b" * 129,
    "a line feed": "order\n",
    "a tab": "\torder",
    "NUL": "or\0der",
    "delete": "order\x7f",
    "a C1 control": "order\x85",
    "zero width": "order\u200b",
    "a direction override": "\u202eredro",
    "a byte order mark": "\ufefforder",
    "a private character": "order\ue000",
}
GOOD_IDS = ["x", "x" * 128, "\u044b" * 128, "\U0001f695", "a b", "%", "'", '"', "\\", "../x", "<b>"]


def seconds_from_now(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(time.time() + seconds))


def no_time() -> Timestamp | None:
    return None


# What is wrong with a moment, and the broken rules; of some moments more than one.
BAD_MOMENTS: dict[str, tuple[Callable[[], Timestamp | None], set[str]]] = {
    "missing": (no_time, {"required"}),
    "too far in the future": (lambda: seconds_from_now(301 + 5), {"timestamp.event_time.range"}),
    "finer than a microsecond": (lambda: Timestamp(seconds=1, nanos=1), {"timestamp.event_time.precision"}),
    "nearly a microsecond": (lambda: Timestamp(seconds=1, nanos=999_999_999), {"timestamp.event_time.precision"}),
    "before the year 1": (lambda: Timestamp(seconds=-62_135_596_801), {"timestamp.event_time.range"}),
    "long before the year 1": (lambda: Timestamp(seconds=-(2**63)), {"timestamp.event_time.range"}),
    "after the year 9999": (lambda: Timestamp(seconds=253_402_300_800), {"timestamp.event_time.range"}),
    "long after the year 9999": (lambda: Timestamp(seconds=2**63 - 1), {"timestamp.event_time.range"}),
}
GOOD_MOMENTS = {
    "the first": lambda: Timestamp(seconds=-62_135_596_800),
    "the epoch": Timestamp,
    "to the microsecond": lambda: Timestamp(seconds=1, nanos=999_999_000),
    "a little ahead": lambda: seconds_from_now(timedelta(minutes=4).total_seconds()),
}


def enqueue(created: Timestamp | None, **fields: object) -> api.EnqueueOrderSaveRequest:
    flags = {"can_switch_road": False, "user_chose_toll_road": False}
    return api.EnqueueOrderSaveRequest(**{"order_id": "order", "created": created, **flags, **fields})  # type: ignore[arg-type]


def requests_with_id(bad: str) -> list[tuple[str, Message, str]]:
    """Returns every request that has an id, with this one in it, and the path of the field."""
    now = Timestamp(seconds=1)
    return [
        (SAVE_OFFER, api.SaveOfferRequest(offer_id=bad), "offer_id"),
        (RETRIEVE, api.RetrieveOrderRequest(order_id=bad), "order_id"),
        (BATCH, api.BatchRetrieveOrdersRequest(order_ids=["good", bad]), "order_ids[1]"),
        (ENQUEUE, enqueue(now, order_id=bad), "order_id"),
        (ENQUEUE, enqueue(now, offer_id=bad), "offer_id"),
        (ENQUEUE, enqueue(now, yandex_uid=bad), "yandex_uid"),
        (SWITCH_ROAD, api.SwitchRoadRequest(order_id=bad, has_toll_road=False, created=now), "order_id"),
    ]


def requests_with_moment(moment: Timestamp | None) -> list[tuple[str, Message]]:
    return [
        (ENQUEUE, enqueue(moment)),
        (SWITCH_ROAD, api.SwitchRoadRequest(order_id="order", has_toll_road=False, created=moment)),
    ]


def metadata_for(suite: SuiteInProcess, path: str) -> Metadata:
    return suite.metadata(CALLERS[path], "toll-roads", "uid")


async def refusal(suite: SuiteInProcess, path: str, request: Message | bytes) -> list[tuple[str, str]]:
    """Makes a call that must be refused for its content, and returns the broken rules by field."""
    async with suite.channel() as channel:
        error = await failure_of(channel, path, request, metadata=metadata_for(suite, path))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), error
    assert dict(error.metadata) == {}
    assert error.retry_after is None
    assert all(violation.description for violation in error.violations)
    return [(violation.field, violation.reason) for violation in error.violations]


async def assert_nothing_is_stored(suite: SuiteInProcess) -> None:
    for schema in SCHEMAS:
        tables = await suite.rows(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename !~ 'yoyo'", schema
        )
        assert tables
        for (table,) in tables:
            assert await suite.rows(f"SELECT * FROM {schema}.{table}") == [], table


# --- ids


@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS.keys())
async def test_a_bad_id_is_refused_wherever_it_stands(running_suite: SuiteInProcess, bad: str) -> None:
    for path, request, field in requests_with_id(bad):
        assert await refusal(running_suite, path, request) == [(field, "string.id")]
    await assert_nothing_is_stored(running_suite)


@pytest.mark.parametrize("good", GOOD_IDS)
async def test_any_other_printable_id_is_taken(running_suite: SuiteInProcess, good: str) -> None:
    async with running_suite.channel() as channel:
        for path, request, _field in requests_with_id(good):
            if path in {SAVE_OFFER, BATCH, ENQUEUE}:
                await call(channel, path, request, metadata=metadata_for(running_suite, path))
            else:
                error = await failure_of(channel, path, request, metadata=metadata_for(running_suite, path))
                assert error.reason == "ORDER_NOT_FOUND"
    assert await running_suite.rows("SELECT offer_id FROM toll_roads.offers") == [(good,)]
    ids = await running_suite.rows("SELECT order_id, offer_id, yandex_uid FROM toll_roads.order_save_requests")
    assert set(ids) == {(good, None, None), ("order", good, None), ("order", None, good)}


# --- moments


@pytest.mark.parametrize(("bad", "rules"), BAD_MOMENTS.values(), ids=BAD_MOMENTS.keys())
async def test_a_bad_moment_is_refused_wherever_it_stands(
    running_suite: SuiteInProcess, bad: Callable[[], Timestamp | None], rules: set[str]
) -> None:
    for path, request in requests_with_moment(bad()):
        assert set(await refusal(running_suite, path, request)) == {("created", rule) for rule in rules}
    await assert_nothing_is_stored(running_suite)


@pytest.mark.parametrize("nanos", [-1, -1000, -(2**31), 1_000_000_000, 2**31 - 1])
@pytest.mark.parametrize("seconds", [0, 1, -1, -62_135_596_800, 253_402_300_799])
async def test_nanoseconds_that_are_not_within_a_second_are_refused(
    running_suite: SuiteInProcess, seconds: int, nanos: int
) -> None:
    for path, request in requests_with_moment(Timestamp(seconds=seconds, nanos=nanos)):
        assert ("created", "timestamp.nanos") in await refusal(running_suite, path, request)
    await assert_nothing_is_stored(running_suite)


@pytest.mark.parametrize("good", GOOD_MOMENTS.values(), ids=GOOD_MOMENTS.keys())
async def test_any_other_moment_is_stored_as_it_is(
    running_suite: SuiteInProcess, good: Callable[[], Timestamp]
) -> None:
    moment = good()
    async with running_suite.channel() as channel:
        await call(channel, ENQUEUE, enqueue(moment), metadata=metadata_for(running_suite, ENQUEUE))
    rows = await running_suite.rows("SELECT extract(epoch FROM created_at)::text FROM toll_roads.order_save_requests")
    assert rows == [(f"{moment.seconds}.{moment.nanos // 1000:06}",)]


# --- numbers of ids


@pytest.mark.parametrize(("number", "rule"), [(0, "repeated.min_items"), (1001, "repeated.max_items")])
async def test_a_batch_has_one_to_a_thousand_ids(running_suite: SuiteInProcess, number: int, rule: str) -> None:
    request = api.BatchRetrieveOrdersRequest(order_ids=[f"order-{n}" for n in range(number)])
    assert await refusal(running_suite, BATCH, request) == [("order_ids", rule)]


@pytest.mark.parametrize("number", [1, 1000])
async def test_a_batch_of_one_and_of_a_thousand_is_taken(running_suite: SuiteInProcess, number: int) -> None:
    request = api.BatchRetrieveOrdersRequest(order_ids=[f"order-{n}" for n in range(number)])
    async with running_suite.channel() as channel:
        answer = await call(channel, BATCH, request, metadata=metadata_for(running_suite, BATCH))
    assert len(api.BatchRetrieveOrdersResponse.FromString(answer).missing_order_ids) == number


# --- sizes and bytes


async def test_a_message_that_is_too_large_is_refused(running_suite: SuiteInProcess) -> None:
    async with running_suite.channel() as channel:
        error = await failure_of(
            channel, SAVE_OFFER, b"\x0a" + b"x" * 5_000_000, metadata=metadata_for(running_suite, SAVE_OFFER)
        )
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await assert_nothing_is_stored(running_suite)


async def test_fields_that_the_contract_does_not_know_are_refused_in_internal_writes_only(
    running_suite: SuiteInProcess,
) -> None:
    unknown = b"\xfa\x3e\x03abc"
    write = api.SaveOfferRequest(offer_id="offer").SerializeToString() + unknown
    assert await refusal(running_suite, SAVE_OFFER, write) == [("1007", "message.unknown_field")]
    await assert_nothing_is_stored(running_suite)
    read = api.BatchRetrieveOrdersRequest(order_ids=["order"]).SerializeToString() + unknown
    async with running_suite.channel() as channel:
        answer = await call(channel, BATCH, read, metadata=metadata_for(running_suite, BATCH))
        assert list(api.BatchRetrieveOrdersResponse.FromString(answer).missing_order_ids) == ["order"]
        metadata = metadata_for(running_suite, SWITCH_ROAD)
        error = await failure_of(channel, SWITCH_ROAD, switch().SerializeToString() + unknown, metadata=metadata)
    assert error.reason == "ORDER_NOT_FOUND"


# --- the passenger's method


def switch() -> api.SwitchRoadRequest:
    return api.SwitchRoadRequest(order_id="order", has_toll_road=False, created=Timestamp(seconds=1))


def bound_ticket(keys: KeyRing, passenger: str) -> Metadata:
    return (("x-ya-service-ticket", TicketIssuer(keys, "gateway")("toll-roads", Identity(passenger))),)


async def test_a_passengers_call_without_passenger_is_refused(running_suite: SuiteInProcess) -> None:
    ticket = running_suite.metadata("gateway", "toll-roads")
    others = (("x-yataxi-userid", "user"), ("x-yataxi-phone-id", "phone"))
    async with running_suite.channel() as channel:
        for metadata in (ticket, (*ticket, *others), (*ticket, ("x-yandex-uid", ""))):
            error = await failure_of(channel, SWITCH_ROAD, switch(), metadata=metadata)
            assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "PASSENGER_MISSING")
            assert dict(error.metadata) == {}


async def test_a_ticket_for_one_passenger_opens_nothing_of_another(running_suite: SuiteInProcess) -> None:
    ticket = bound_ticket(running_suite.keys, "uid")
    async with running_suite.channel() as channel:
        for claimed in ("another", "uid2", "UID", "ui", ""):
            error = await failure_of(channel, SWITCH_ROAD, switch(), metadata=(*ticket, ("x-yandex-uid", claimed)))
            assert error.reason == "PASSENGER_MISSING"
        error = await failure_of(channel, SWITCH_ROAD, switch(), metadata=(*ticket, ("x-yandex-uid", "uid")))
        assert error.reason == "ORDER_NOT_FOUND"


@pytest.mark.parametrize("source", ["processing", "api-proxy", "toll-roads", "admin"])
async def test_nobody_but_the_gateway_speaks_for_a_passenger(running_suite: SuiteInProcess, source: str) -> None:
    metadata = (*running_suite.metadata(source, "toll-roads"), ("x-yandex-uid", "uid"))
    async with running_suite.channel() as channel:
        error = await failure_of(channel, SWITCH_ROAD, switch(), metadata=metadata)
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    assert error.metadata == {"caller": source, "method": SWITCH_ROAD.removeprefix("/")}
