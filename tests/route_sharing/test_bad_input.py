"""Whatever is wrong with a request, it is refused by field and rule, and nothing is stored."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.message import Message

from ridehail.routesharing.v1 import route_sharing_api_pb2 as api
from ridehail.routesharing.v1.route_sharing_pb2 import ShareRideWithFamily
from ridehail_clients import SharingInfo
from tests.route_sharing.world import GET_INFO, World
from tests.support.calls import Metadata, call, failure_of

SERVICE = "/ridehail.routesharing.v1.RouteSharingService"
SHARE, INFO, INSERT = (f"{SERVICE}/{method}" for method in ("ShareWithFamily", "GetSharingInfo", "EnqueueInsertOrder"))
SOURCES = {SHARE: "api-proxy", INFO: "inapp-communications", INSERT: "processing", GET_INFO: "gateway"}
BAD_IDS = ["", "x" * 129, "ы" * 129, "a\nb", "a\0b", "a\x7fb", "a\x85b", "a\u200bb", "\u202eab", "\ufeffa", "\ue000"]
GOOD_IDS = ["x", "x" * 128, "ы" * 128, "\U0001f695", "a b", "%", "%s", "'", '"', "\\", "../x", "{},NULL", "<b>", "{a}"]
ON = ShareRideWithFamily(value=True)


def share(**changes: object) -> api.ShareWithFamilyRequest:
    fields = {"order_id": "order", "sharing_key": "key", "share_ride_with_family": ON, "yandex_uid": "1", **changes}
    return api.ShareWithFamilyRequest(**fields)  # type: ignore[arg-type]  # a test's own mix


def insert(**changes: object) -> api.EnqueueInsertOrderRequest:
    return api.EnqueueInsertOrderRequest(**{"order_id": "order", "sharing_key": "key", **changes})  # type: ignore[arg-type]


Bad = tuple[str, Message, str, str]
CASES: list[Bad] = [
    *(
        (path, request, field, "string.id")
        for bad in BAD_IDS
        for path, request, field in [
            *((SHARE, share(**{name: bad}), name) for name in ("order_id", "sharing_key", "yandex_uid")),
            (INFO, api.GetSharingInfoRequest(sharing_key=bad), "sharing_key"),
            *((INSERT, insert(**{name: bad}), name) for name in ("order_id", "sharing_key", "yandex_uid")),
            (INSERT, insert(phone_ids=["good", bad]), "phone_ids[1]"),
            (GET_INFO, api.GetInfoRequest(sharing_key=bad), "sharing_key"),
        ]
    ),
    (SHARE, share(share_ride_with_family=None), "share_ride_with_family", "required"),
    (INSERT, insert(phone_ids=[f"phone-{number}" for number in range(101)]), "phone_ids", "repeated.max_items"),
]


def metadata_of(world: World, path: str) -> Metadata:
    return world.passenger("1") if path == GET_INFO else world.ticket(SOURCES[path])


async def test_bad_requests_are_refused_by_field_and_rule_and_nothing_is_stored(world: World) -> None:
    for path, request, field, rule in CASES:
        error = await failure_of(world.channel, path, request, metadata=metadata_of(world, path))
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), (path, request)
        assert [(one.field, one.reason) for one in error.violations] == [(field, rule)], (path, request)
    for path in SOURCES:
        error = await failure_of(world.channel, path, b"", metadata=metadata_of(world, path))
        assert error.reason == "INVALID_REQUEST", path
        for garbage in (b"\xff", b"\x0a\xff", b"\x0a\x02\xc3\x28", b"\x07"):
            error = await failure_of(world.channel, path, garbage, metadata=metadata_of(world, path))
            assert error.code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL}, (path, garbage)
        error = await failure_of(world.channel, path, b"\x0a" + b"x" * 5_000_000, metadata=metadata_of(world, path))
        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not any((await world.tables()).values())


async def test_any_other_printable_id_is_taken_and_is_only_an_id(world: World) -> None:
    for good in GOOD_IDS:
        await world.insert(good, key=good, order=good, rider=good)
        assert await world.info(good) == SharingInfo((good,), None)
        for passenger in ({"uid": good}, {"phone_id": good}) if good.isascii() else ():
            shown = await world.watch(good, **passenger)
            assert not isinstance(shown, str)
            assert shown.order_id == good


async def test_a_hundred_phones_are_taken(world: World) -> None:
    await world.insert(*(f"phone-{number:03}" for number in range(100)))
    assert await world.phones() == tuple(f"phone-{number:03}" for number in range(100))


@pytest.mark.parametrize("path", SOURCES)
async def test_each_method_is_for_its_callers_alone(world: World, path: str) -> None:
    request = {SHARE: share(), INFO: api.GetSharingInfoRequest(sharing_key="key"), INSERT: insert()}
    allowed = {SOURCES[path]} | ({"admin"} if path == INFO else set())
    for caller in {"admin", "api-proxy", "gateway", "inapp-communications", "processing", "route-sharing"} - allowed:
        error = await failure_of(
            world.channel,
            path,
            request.get(path, api.GetInfoRequest(sharing_key="key")),
            metadata=(*world.ticket(caller), ("x-yandex-uid", "1")),
        )
        assert error.reason == "CALLER_NOT_ALLOWED"
    assert not any((await world.tables()).values())


async def test_a_passengers_call_without_passenger_is_refused(world: World) -> None:
    request = api.GetInfoRequest(sharing_key="key")
    for others in ((), (("x-yataxi-phone-id", "phone"),), (("x-yandex-uid", ""),)):
        metadata = (*world.ticket("gateway"), *others)
        assert (await failure_of(world.channel, GET_INFO, request, metadata=metadata)).reason == "PASSENGER_MISSING"


async def test_fields_that_the_contract_does_not_know_are_passed_over(world: World) -> None:
    request = api.GetSharingInfoRequest(sharing_key="key").SerializeToString() + b"\xfa\x3e\x03abc"
    answer = await call(world.channel, INFO, request, metadata=metadata_of(world, INFO))
    assert api.GetSharingInfoResponse.FromString(answer) == api.GetSharingInfoResponse()
