"""Whoever floods the gateway is refused; the others notice nothing."""

# ruff: noqa: F401, F811 - the fixtures are the gateway's tests' own
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.gateway.configuration import GatewaySettings, render
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from tests.gateway import native
from tests.gateway.conftest import (
    channel,
    config_dir,
    definitions,
    descriptor_set,
    folder,
    keys_dir,
    loop,
    sample,
    servers,
    session_keys,
    settings,
    upstream,
)
from tests.gateway.envoy_process import Listener, Reply, RunningEnvoy, running_envoy
from tests.gateway.upstream import Upstream

SWITCH = "/4.0/toll-roads/v1/order"
SWITCH_METHOD = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
OFFER_METHOD = "ridehail.tollroads.v1.TollRoadsService/SaveOffer"
THINGS = "/sample/v1/things"
THINGS_METHOD = "ridehail.gatewaysample.v1.PassengerSampleService/ChangeThing"
FIELDS = "/order-core/set-order-fields"
BURST = 5
LARGEST = 256 * 1024
FLOOD = 60


@contextmanager
def gateway_with(
    settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path, **changes: Any
) -> Iterator[RunningEnvoy]:
    """Runs a gateway whose callers get one request a second, after a burst."""
    folder.mkdir()
    changed = {"admin_socket": folder / "admin", "access_log": folder / "access.log", **changes}
    with running_envoy(render(settings.model_copy(update=changed), definitions), folder) as envoy:
        yield envoy


@pytest.fixture(scope="module")
def by_passenger(
    settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path
) -> Iterator[RunningEnvoy]:
    limits = {"passenger_rate": 1, "passenger_burst": BURST, "connection_rate": 1, "connection_burst": BURST}
    with gateway_with(settings, definitions, folder / "by-passenger", **limits) as envoy:
        yield envoy


@pytest.fixture(scope="module")
def by_bytes(settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path) -> Iterator[RunningEnvoy]:
    names = ("passenger_bytes", "internal_bytes")
    limits = {f"{name}_{what}": value for name in names for what, value in (("rate", 1), ("burst", LARGEST))}
    with gateway_with(settings, definitions, folder / "by-bytes", **limits) as envoy:
        yield envoy


@pytest.fixture(scope="module")
def by_address(settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path) -> Iterator[RunningEnvoy]:
    """Behind a proxy that names the client."""
    limits = {"address_rate": 1, "address_burst": BURST, "trusted_proxies": 1}
    with gateway_with(settings, definitions, folder / "by-address", **limits) as envoy:
        yield envoy


def session_of(keys: KeyRing, uid: str) -> dict[str, str]:
    """Returns the header of a passenger."""
    token = issue_session_token(keys, yandex_uid=uid, ttl=timedelta(hours=1), now=datetime.now(UTC))
    return {"authorization": f"Bearer {token}"}


def check_refusal(reply: Reply) -> None:
    """The refusal is ours, in full."""
    assert reply.error == (429, 8)
    assert reply.json["message"] == "too many requests, try again later"
    info, retry = reply.json["details"]
    assert (info["reason"], info["domain"], info["metadata"]) == ("RATE_LIMITED", "ridehail", {})
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": "1s"}
    assert reply.headers["retry-after"] == "1"
    assert set(reply.headers) <= {"content-type", "content-length", "date", "x-request-id", "retry-after", "connection"}


def check_grpc_refusal(call: Callable[[], bytes]) -> None:
    """Some call of a flood is refused, and tells native gRPC what JSON is told."""

    def flood() -> None:
        for _ in range(FLOOD):
            call()

    with pytest.raises(grpc.RpcError) as refused:
        flood()
    trailing = {it.key: it.value for it in refused.value.trailing_metadata() or ()}
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, status.message)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, retry.retry_delay.seconds) == ("RATE_LIMITED", 1)


def test_twenty_passengers_beside_a_flooding_one_are_all_served(
    by_passenger: RunningEnvoy, upstream: Upstream, session_keys: KeyRing
) -> None:
    flooding = session_of(session_keys, "flooding")
    others = [session_of(session_keys, f"other-{number}") for number in range(20)]
    started = time.monotonic()
    flood = []
    for turn in range(FLOOD):
        flood.append(by_passenger.public.post(SWITCH, {}, flooding))
        if turn < 20 * BURST // 2:  # each of them makes less than its burst
            assert by_passenger.public.post(SWITCH, {}, others[turn % 20]).status == 200
    refused = [reply for reply in flood if reply.status != 200]
    assert len(refused) >= FLOOD - BURST - (time.monotonic() - started + 1)
    assert refused
    for reply in refused:
        check_refusal(reply)
    assert len(upstream.calls) == min(FLOOD, 20 * BURST // 2) + FLOOD - len(refused)


def test_a_passenger_has_one_share_whatever_the_method_the_protocol_and_the_session(
    by_passenger: RunningEnvoy,
    upstream: Upstream,
    channel: Callable[[Listener], grpc.Channel],
    session_keys: KeyRing,
) -> None:
    for _ in range(FLOOD):
        reply = by_passenger.public.request("GET", "/sample/v1/things/a", None, session_of(session_keys, "many"))
    check_refusal(reply)
    calls = channel(by_passenger.public)
    check_grpc_refusal(
        lambda: native.call(calls, SWITCH_METHOD, api.SwitchRoadRequest(), session_of(session_keys, "many"))
    )


def test_a_stranger_cannot_spend_a_passengers_share(
    by_passenger: RunningEnvoy, upstream: Upstream, session_keys: KeyRing
) -> None:
    for _ in range(FLOOD):
        reply = by_passenger.public.post(SWITCH, {}, {"x-yandex-uid": "victim", "authorization": "Bearer x"})
        assert reply.error == (401, 16)
    assert by_passenger.public.post(SWITCH, {}, session_of(session_keys, "victim")).status == 200


def test_an_address_that_floods_is_refused_before_anybody_looks_at_its_token(
    by_address: RunningEnvoy, session_keys: KeyRing
) -> None:
    def ask(address: str, path: str = SWITCH, **headers: str) -> Reply:
        return by_address.public.post(path, {}, {"x-forwarded-for": address, **headers})

    replies = [ask("192.0.2.1", SWITCH if turn % 2 else "/nowhere") for turn in range(FLOOD)]
    assert {reply.status for reply in replies[:2]} == {401, 404}
    check_refusal(replies[-1])
    # Others who come through the same proxy are served; what a client adds before the proxy's word changes nothing.
    assert ask("192.0.2.2", **session_of(session_keys, "400")).status == 200
    check_refusal([ask(f"198.51.100.{turn}, 192.0.2.1") for turn in range(FLOOD)][-1])


def test_an_ipv6_client_is_its_network(by_address: RunningEnvoy) -> None:
    def ask(address: str) -> Reply:
        return by_address.public.post(SWITCH, {}, {"x-forwarded-for": address})

    check_refusal([ask(f"2001:db8:0:1::{turn:x}") for turn in range(1, FLOOD)][-1])
    assert ask("2001:db8:0:2::1").status == 401


def test_on_the_internal_listener_each_connection_has_its_share(
    by_passenger: RunningEnvoy, upstream: Upstream, channel: Callable[[Listener], grpc.Channel]
) -> None:
    flooding = channel(by_passenger.internal)
    check_grpc_refusal(lambda: native.call(flooding, OFFER_METHOD, api.SaveOfferRequest()))
    for _ in range(2 * BURST):
        assert by_passenger.internal.post("/toll-roads/v1/offer", {}).status == 200


def test_a_passenger_has_a_share_of_the_bytes_of_large_bodies(
    by_bytes: RunningEnvoy,
    upstream: Upstream,
    channel: Callable[[Listener], grpc.Channel],
    sample: FileDescriptor,
    session_keys: KeyRing,
) -> None:
    public, flooding = by_bytes.public, session_of(session_keys, "flooding")
    # Half of the bucket, but for the frame of the body.
    large = {"thing": {"thing_id": "o" * (LARGEST // 2 - 100)}}
    assert [public.post(THINGS, large, flooding).status for _ in range(2)] == [200, 200]
    for _ in range(3):
        check_refusal(public.post(THINGS, large, flooding))
    thing = GetMessageClass(sample.message_types_by_name["ChangeThingRequest"])()
    json_format.ParseDict(large, thing)
    calls = channel(public)
    check_grpc_refusal(lambda: native.call(calls, THINGS_METHOD, thing, flooding))
    assert len(upstream.calls) == 2
    # Small bodies are requests like others, and so are the large bodies of others.
    assert public.post(SWITCH, {}, flooding).status == 200
    assert public.post(THINGS, large, session_of(session_keys, "other")).status == 200


def test_a_body_of_unknown_length_counts_as_well(
    by_bytes: RunningEnvoy, upstream: Upstream, session_keys: KeyRing
) -> None:
    session = session_of(session_keys, "chunks")
    body = b'{"thing":{"thing_id":"%s"}}' % (b"o" * (LARGEST // 2 - 100))
    replies = []
    for _ in range(3):
        chunks = iter([body[:1000], body[1000:]])
        replies.append(by_bytes.public.request("POST", THINGS, chunks, session))
    assert [reply.status for reply in replies] == [200, 200, 429]


def test_services_of_an_address_have_a_share_of_the_bytes_of_large_bodies(
    by_bytes: RunningEnvoy, upstream: Upstream
) -> None:
    large = {"order_id": "o" * (LARGEST // 2 - 100)}
    replies = [by_bytes.internal.post(FIELDS, large) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    check_refusal(replies[-1])
    assert by_bytes.internal.post(FIELDS, {}).status == 200
