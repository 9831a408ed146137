"""Who gets through the public listener, and as whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketVerifier
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from tests.gateway import native
from tests.gateway.envoy_process import Listener
from tests.gateway.forged_tokens import FORGED, Forge
from tests.gateway.upstream import Upstream

PATH = "/4.0/toll-roads/v1/order"
METHOD = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
PASSENGER = ("x-yandex-uid", "x-yataxi-userid", "x-ya-family-role", "x-yataxi-phone-id")

OpenChannel = Callable[[Listener], grpc.Channel]


def check_passenger(upstream: Upstream, keys_dir: Path) -> None:
    """Checks that the only call is the signed in passenger's, with a ticket bound to them."""
    arrived = upstream.only_call
    assert [arrived.header(name) for name in PASSENGER] == ["4000000001999", "user-1", "owner", "phone-1"]
    assert arrived.header("authorization") is None
    assert arrived.header("x-ya-gateway-key") is None
    text = arrived.header("x-ya-service-ticket")
    assert isinstance(text, str)
    ticket = TicketVerifier(KeyRing(keys_dir / "tickets")).verify(text, destination="toll-roads")
    assert ticket.source == "gateway"
    assert ticket.passenger == Identity("4000000001999", "user-1", "owner", "phone-1")


def test_a_signed_in_passengers_json_request_arrives_as_theirs(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], keys_dir: Path
) -> None:
    reply = public.post(PATH, {"order_id": "o"}, signed_in)
    assert (reply.status, reply.json) == (200, {})
    check_passenger(upstream, keys_dir)


def test_a_signed_in_passengers_grpc_call_arrives_as_theirs(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str], keys_dir: Path
) -> None:
    native.call(channel(public), METHOD, api.SwitchRoadRequest(order_id="o"), signed_in)
    check_passenger(upstream, keys_dir)


SMUGGLED = {
    **dict.fromkeys(PASSENGER, "smuggled"),
    "x-ya-service-ticket": "smuggled",
    "x-ya-gateway-key": "smuggled",
    "x-http-status": "418",
    "x-error-reason": "smuggled",
}


def test_trusted_headers_in_a_json_request_are_replaced(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], keys_dir: Path
) -> None:
    reply = public.post(PATH, {}, {**signed_in, **{name.title(): value for name, value in SMUGGLED.items()}})
    assert reply.status == 200
    check_passenger(upstream, keys_dir)
    assert upstream.only_call.header("x-http-status") is None


def test_trusted_headers_in_a_grpc_call_are_replaced(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str], keys_dir: Path
) -> None:
    native.call(channel(public), METHOD, api.SwitchRoadRequest(), {**SMUGGLED, **signed_in})
    check_passenger(upstream, keys_dir)
    assert upstream.only_call.header("x-http-status") is None


@pytest.mark.parametrize("by_grpc", [False, True])
def test_what_the_session_does_not_state_cannot_be_added(
    public: Listener, upstream: Upstream, channel: OpenChannel, session_keys: KeyRing, by_grpc: bool
) -> None:
    token = issue_session_token(session_keys, yandex_uid="4002", ttl=timedelta(hours=1), now=datetime.now(UTC))
    headers = {**SMUGGLED, "authorization": f"Bearer {token}"}
    if by_grpc:
        native.call(channel(public), METHOD, api.SwitchRoadRequest(), headers)
    else:
        assert public.post(PATH, {}, headers).status == 200
    assert [upstream.only_call.header(name) for name in PASSENGER] == ["4002", None, None, None]


def test_without_a_token_json_gets_401_and_grpc_unauthenticated(
    public: Listener, upstream: Upstream, channel: OpenChannel
) -> None:
    reply = public.post(PATH, {}, SMUGGLED)
    assert (reply.error, reply.reason) == ((401, 16), "SESSION_MISSING")
    failure = native.failure(channel(public), METHOD, api.SwitchRoadRequest(), SMUGGLED)
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_MISSING")
    assert failure.message == reply.json["message"]
    assert upstream.calls == []


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_a_bad_token_gets_401_with_its_reason_and_grpc_the_same(
    public: Listener, upstream: Upstream, channel: OpenChannel, keys_dir: Path, forge: Forge
) -> None:
    headers = {"authorization": f"Bearer {forge(keys_dir)}"}
    reply = public.post(PATH, {}, headers)
    assert (reply.error, reply.reason) == ((401, 16), FORGED[forge])
    failure = native.failure(channel(public), METHOD, api.SwitchRoadRequest(), headers)
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAUTHENTICATED, FORGED[forge])
    assert upstream.calls == []


def test_a_service_that_the_authorizer_does_not_know_is_forbidden(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str]
) -> None:
    reply = public.request("GET", "/sample/v1/new-things/a", None, signed_in)
    assert (reply.error, reply.reason) == ((403, 7), "CALLER_NOT_ALLOWED")
    method = "ridehail.gatewaysample.v1.PassengerNewService/GetNewThing"
    failure = native.failure(channel(public), method, Empty(), signed_in)
    assert (failure.code, failure.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    assert upstream.calls == []


def test_a_second_authorization_header_invalidates_the_first(public: Listener, upstream: Upstream, token: str) -> None:
    lines = [f"POST {PATH} HTTP/1.1", "host: x", "content-length: 2", *[f"authorization: Bearer {token}"] * 2, "", "{}"]
    answer = public.raw("\r\n".join(lines).encode())
    assert answer.startswith(b"401")
    assert upstream.calls == []


def test_the_authorizers_helper_headers_stay_inside(public: Listener) -> None:
    reply = public.post(PATH, {})
    assert set(reply.headers) <= {"content-type", "content-length", "date", "x-request-id", "connection"}


def test_the_internal_listener_keeps_the_ticket_and_drops_headers_of_the_gateway(
    internal: Listener, upstream: Upstream, channel: OpenChannel
) -> None:
    headers = {**SMUGGLED, "x-ya-service-ticket": "the-callers-own"}
    assert internal.post("/toll-roads/v1/offer", {"offer_id": "o"}, headers).status == 200
    request = api.SaveOfferRequest(offer_id="o")
    native.call(channel(internal), "ridehail.tollroads.v1.TollRoadsService/SaveOffer", request, headers)
    assert len(upstream.calls) == 2
    for arrived in upstream.calls:
        assert arrived.header("x-ya-service-ticket") == "the-callers-own"
        for name in (*PASSENGER, "x-ya-gateway-key", "x-http-status"):
            assert arrived.header(name) is None
