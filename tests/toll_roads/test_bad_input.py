"""An invalid request is refused by field and rule, and nothing is stored."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.support.calls import Metadata, call, failure_of
from tests.support.databases import written_tables
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

# What an id is: see tests/chassis/test_text_rules.py. Here: which fields are ids.
BAD_IDS = ["", "x" * 129, "order\n"]
GOOD_IDS = ["x", "x" * 128, "\u044b" * 128, "\U0001f695", "a b", "%", "'", '"', "\\", "../x", "<b>"]


def seconds_from_now(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(time.time() + seconds))


def bad_timestamps() -> dict[str, tuple[Timestamp | None, set[str]]]:
    """Returns what is wrong with a timestamp, with the broken rules."""
    return {
        "missing": (None, {"required"}),
        "too far in the future": (seconds_from_now(360), {"timestamp.event_time.range"}),
        "finer than a microsecond": (Timestamp(seconds=1, nanos=1), {"timestamp.event_time.precision"}),
        "nearly a microsecond": (Timestamp(seconds=1, nanos=999_999_999), {"timestamp.event_time.precision"}),
        "before the year 1": (Timestamp(seconds=-62_135_596_801), {"timestamp.event_time.range"}),
        "long before the year 1": (Timestamp(seconds=-(2**63)), {"timestamp.event_time.range"}),
        "a negative fraction": (
            Timestamp(seconds=1, nanos=-1),
            {"timestamp.nanos", "timestamp.event_time.precision"},
        ),
        "after the year 9999": (Timestamp(seconds=253_402_300_800), {"timestamp.event_time.range"}),
        "long after the year 9999": (Timestamp(seconds=2**63 - 1), {"timestamp.event_time.range"}),
    }


def good_timestamps() -> list[Timestamp]:
    """Returns the first, the epoch, one to the microsecond, and one a little ahead."""
    return [
        Timestamp(seconds=-62_135_596_800),
        Timestamp(),
        Timestamp(seconds=1, nanos=999_999_000),
        seconds_from_now(240),
    ]


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


def requests_with_created(created: Timestamp | None) -> list[tuple[str, Message]]:
    return [
        (ENQUEUE, enqueue(created)),
        (SWITCH_ROAD, api.SwitchRoadRequest(order_id="order", has_toll_road=False, created=created)),
    ]


def metadata_for(suite: SuiteInProcess, path: str) -> Metadata:
    return suite.metadata(CALLERS[path], "toll-roads", "uid")


@pytest.fixture
async def channel(suite: SuiteInProcess) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service that has nothing stored, and must have nothing stored in the end."""
    async with suite.channel() as channel:
        yield channel


async def refusal(
    suite: SuiteInProcess, channel: grpc.aio.Channel, path: str, request: Message
) -> list[tuple[str, str]]:
    """Makes a call that must be refused for its content, and returns the broken rules by field."""
    error = await failure_of(channel, path, request, metadata=metadata_for(suite, path))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), error
    return [(violation.field, violation.reason) for violation in error.violations]


def assert_nothing_is_stored(suite: SuiteInProcess) -> None:
    with psycopg.connect(suite.database_url, autocommit=True) as connection:
        assert written_tables(connection) == []


# --- ids


async def test_an_invalid_id_is_refused_in_every_field(suite: SuiteInProcess, channel: grpc.aio.Channel) -> None:
    for bad in BAD_IDS:
        for path, request, field in requests_with_id(bad):
            assert await refusal(suite, channel, path, request) == [(field, "string.id")]
    assert_nothing_is_stored(suite)


async def test_any_other_printable_id_is_accepted(suite: SuiteInProcess, channel: grpc.aio.Channel) -> None:
    for good in GOOD_IDS:
        for path, request, _field in requests_with_id(good):
            if path in {SAVE_OFFER, BATCH, ENQUEUE}:
                await call(channel, path, request, metadata=metadata_for(suite, path))
            else:
                error = await failure_of(channel, path, request, metadata=metadata_for(suite, path))
                assert error.reason == "ORDER_NOT_FOUND"
    assert set(await suite.rows("SELECT offer_id FROM toll_roads.offers")) == {(good,) for good in GOOD_IDS}
    ids = await suite.rows("SELECT order_id, offer_id, yandex_uid FROM toll_roads.order_save_requests")
    assert set(ids) == {
        row for good in GOOD_IDS for row in ((good, None, None), ("order", good, None), ("order", None, good))
    }


# --- timestamps


async def test_an_invalid_timestamp_is_refused_in_every_field(suite: SuiteInProcess, channel: grpc.aio.Channel) -> None:
    for why, (bad, rules) in bad_timestamps().items():
        for path, request in requests_with_created(bad):
            broken = set(await refusal(suite, channel, path, request))
            assert broken == {("created", rule) for rule in rules}, why
    assert_nothing_is_stored(suite)


async def test_any_other_timestamp_is_stored_as_it_is(suite: SuiteInProcess, channel: grpc.aio.Channel) -> None:
    timestamps = good_timestamps()
    for good in timestamps:
        await call(channel, ENQUEUE, enqueue(good), metadata=metadata_for(suite, ENQUEUE))
    rows = await suite.rows(
        "SELECT extract(epoch FROM created_at)::text FROM toll_roads.order_save_requests ORDER BY request_id"
    )
    assert rows == [(f"{good.seconds}.{good.nanos // 1000:06}",) for good in timestamps]


# --- numbers of ids


async def test_a_batch_has_one_to_a_thousand_ids(suite: SuiteInProcess, channel: grpc.aio.Channel) -> None:
    for number, rule in ((0, "repeated.min_items"), (1001, "repeated.max_items")):
        request = api.BatchRetrieveOrdersRequest(order_ids=[f"order-{n}" for n in range(number)])
        assert await refusal(suite, channel, BATCH, request) == [("order_ids", rule)]
    for number in (1, 1000):
        request = api.BatchRetrieveOrdersRequest(order_ids=[f"order-{n}" for n in range(number)])
        response = await call(channel, BATCH, request, metadata=metadata_for(suite, BATCH))
        assert len(api.BatchRetrieveOrdersResponse.FromString(response).missing_order_ids) == number
