"""A stolen ticket key opens what its source may call and nothing else; a stolen ticket opens its passenger's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import grpc
import pytest

from ridehail.common.v1 import options_pb2
from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_kernel.method_contracts import service_audience
from ridehail_servers import resources, suite
from ridehail_servers.chassis import tokens
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketInvalid, TicketIssuer, TicketVerifier
from tests.support.calls import Metadata, call, failure_of, rpcs
from tests.support.recorded_suite import RecordedSuite

SOURCES = sorted(suite.ticket_sources(resources.folder("config")))
PASSENGERS = [
    rpc
    for rpc in rpcs()
    if not rpc.by_gateway_key and service_audience(rpc.method.containing_service) == options_pb2.AUDIENCE_PASSENGER
]
SWITCH_ROAD = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
PUT_ORDER = "/ridehail.ordercore.v1.OrderCoreService/PutOrder"
RIDER = Identity("666", "user-666", "user", "phone-666")


def forged(keys: KeyRing, owner: str, **claims: str) -> str:
    """Signs any claims with a source's key."""
    return tokens.sign(keys, claims, now=datetime.now(UTC), ttl=timedelta(minutes=5), owner=owner)


def test_a_sources_key_signs_for_that_source_only(keys_dir: Path) -> None:
    keys = KeyRing(keys_dir / "tickets")
    verifier = TicketVerifier(keys)
    for thief, claimed in product(SOURCES, SOURCES):
        token = forged(keys, thief, src=claimed, dst="toll-roads")
        if thief == claimed:
            assert verifier.verify(token, destination="toll-roads").source == thief
            continue
        with pytest.raises(TicketInvalid):
            verifier.verify(token, destination="toll-roads")


@pytest.mark.parametrize("claimed", ["gateway", "admin"])
async def test_with_the_key_of_another_service_nobody_is_the_gateway_or_an_admin(
    recorded_suite: RecordedSuite, claimed: str
) -> None:
    path, service = (SWITCH_ROAD, "toll-roads") if claimed == "gateway" else (PUT_ORDER, "order-core")
    for thief in set(SOURCES) - {claimed}:
        token = forged(recorded_suite.keys, thief, src=claimed, dst=service, uid="400")
        error = await failure_of(recorded_suite.channel, path, metadata=(("x-ya-service-ticket", token),))
        assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TICKET_INVALID"), thief
    assert recorded_suite.reached == []


STRANGE_SOURCES = ["\ud800", "gateway\ud800", "../tickets/gateway", "gateway/", "", "\0", "Gateway", "x" * 1000]


@pytest.mark.parametrize("source", STRANGE_SOURCES, ids=ascii)
async def test_a_source_that_nobody_knows_is_refused_as_any_bad_ticket(
    recorded_suite: RecordedSuite, source: str
) -> None:
    token = forged(recorded_suite.keys, "gateway", src=source, dst="toll-roads", uid="400")
    error = await failure_of(recorded_suite.channel, SWITCH_ROAD, metadata=(("x-ya-service-ticket", token),))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TICKET_INVALID")


# --- passengers

FORGED_HEADERS: dict[str, Metadata] = {
    "another passenger": (("x-yandex-uid", "400"),),
    "no passenger": (("x-yandex-uid", ""),),
    "another user": (("x-yataxi-userid", "user-400"),),
    "another role": (("x-ya-family-role", "owner"),),
    "another phone": (("x-yataxi-phone-id", "phone-400"),),
    "no phone": (("x-yataxi-phone-id", ""),),
    "the right uid, another phone": (("x-yandex-uid", "666"), ("x-yataxi-phone-id", "phone-400")),
    "two phones": (("x-yataxi-phone-id", "phone-666"), ("x-yataxi-phone-id", "phone-400")),
}


def gateways(keys: KeyRing, service: str, passenger: Identity | None) -> Metadata:
    return (("x-ya-service-ticket", TicketIssuer(keys, "gateway").issue(service, passenger=passenger)),)


@pytest.mark.parametrize("headers", FORGED_HEADERS.values(), ids=FORGED_HEADERS)
async def test_headers_that_contradict_the_ticket_open_nothing(
    recorded_suite: RecordedSuite, headers: Metadata
) -> None:
    for rpc in PASSENGERS:
        ticket = gateways(recorded_suite.keys, rpc.service, RIDER)
        error = await failure_of(recorded_suite.channel, rpc.path, metadata=(*ticket, *headers))
        assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "PASSENGER_MISSING"), rpc.name
    assert recorded_suite.reached == []


@pytest.mark.parametrize("name", ["x-yataxi-userid", "x-ya-family-role", "x-yataxi-phone-id"])
async def test_headers_add_nothing_that_the_ticket_leaves_out(recorded_suite: RecordedSuite, name: str) -> None:
    for rpc in PASSENGERS:
        metadata = (
            *gateways(recorded_suite.keys, rpc.service, Identity("666")),
            ("x-yandex-uid", "666"),
            (name, "owner"),
        )
        error = await failure_of(recorded_suite.channel, rpc.path, metadata=metadata)
        assert error.reason == "PASSENGER_MISSING", rpc.name
    assert recorded_suite.reached == []


async def test_a_ticket_that_is_bound_to_nobody_opens_no_passengers_method(recorded_suite: RecordedSuite) -> None:
    whole = tuple(RIDER.headers().items())
    for rpc in PASSENGERS:
        ticket = gateways(recorded_suite.keys, rpc.service, None)
        for headers in ((), whole):
            error = await failure_of(recorded_suite.channel, rpc.path, metadata=(*ticket, *headers))
            assert error.reason == "PASSENGER_MISSING", rpc.name
    assert recorded_suite.reached == []


async def test_a_bound_ticket_opens_its_passengers_with_and_without_the_gateways_headers(
    recorded_suite: RecordedSuite,
) -> None:
    request = api.SwitchRoadRequest(order_id="order", has_toll_road=True)
    request.created.GetCurrentTime()
    ticket = gateways(recorded_suite.keys, "toll-roads", RIDER)
    for headers in ((), tuple(RIDER.headers().items())):
        await call(recorded_suite.channel, SWITCH_ROAD, request, metadata=(*ticket, *headers))
    assert recorded_suite.reached == [SWITCH_ROAD.removeprefix("/")] * 2
