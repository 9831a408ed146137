"""What callers see when something behind the gateway is not there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.gateway.configuration import GatewaySettings, render
from tests.gateway import native
from tests.gateway.envoy_process import Listener, RunningEnvoy, running_envoy
from tests.gateway.upstream import Call, Context, Upstream, fails
from tests.support.loop_thread import LoopThread
from tests.support.waiting import eventually

SWITCH = "/4.0/toll-roads/v1/order"
SWITCH_METHOD = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
THINGS = "/sample/v1/things"

OpenChannel = Callable[[Listener], grpc.Channel]


@pytest.fixture(scope="module")
def dead_address() -> Iterator[str]:
    """An address where nothing listens, reserved for the test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def _gateway(
    settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path, dead: dict[str, str]
) -> Iterator[RunningEnvoy]:
    folder.mkdir()
    changed = {
        "admin_socket": folder / "admin",
        "access_log": folder / "access.log",
        "upstreams": {**settings.upstreams, **dead},
    }
    with running_envoy(render(settings.model_copy(update=changed), definitions), folder) as envoy:
        yield envoy


@pytest.fixture(scope="module")
def without_authorizer(
    settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path, dead_address: str
) -> Iterator[RunningEnvoy]:
    yield from _gateway(settings, definitions, folder / "no-authorizer", {"passenger-authorizer": dead_address})


@pytest.fixture(scope="module")
def without_toll_roads(
    settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path, dead_address: str
) -> Iterator[RunningEnvoy]:
    yield from _gateway(settings, definitions, folder / "no-toll-roads", {"toll-roads": dead_address})


def test_without_the_authorizer_no_passenger_request_passes(
    without_authorizer: RunningEnvoy, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str]
) -> None:
    for headers in (signed_in, {}):
        reply = without_authorizer.public.post(SWITCH, {}, headers)
        assert (reply.error, reply.json["details"]) == ((503, 14), [])
        failure = native.failure(channel(without_authorizer.public), SWITCH_METHOD, api.SwitchRoadRequest(), headers)
        assert (failure.code, failure.message) == (grpc.StatusCode.UNAVAILABLE, reply.json["message"])
    assert upstream.calls == []


def test_without_the_authorizer_services_still_reach_each_other(
    without_authorizer: RunningEnvoy, upstream: Upstream
) -> None:
    assert without_authorizer.internal.post("/toll-roads/v1/offer", {"offer_id": "o"}).status == 200


def test_a_wrong_gateway_key_is_a_server_error(
    settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path, signed_in: dict[str, str]
) -> None:
    wrong = GatewaySettings.model_validate({**settings.model_dump(), "gateway_key": "x" * 16})
    for envoy in _gateway(wrong, definitions, folder / "wrong-key", {}):
        assert envoy.public.post(SWITCH, {}, signed_in).error == (503, 14)


def test_without_the_service_json_gets_503_and_grpc_unavailable_with_the_same_words(
    without_toll_roads: RunningEnvoy, channel: OpenChannel, signed_in: dict[str, str]
) -> None:
    reply = without_toll_roads.public.post(SWITCH, {}, signed_in)
    assert reply.error == (503, 14)
    assert reply.json["message"] == "the service is unavailable"
    failure = native.failure(channel(without_toll_roads.public), SWITCH_METHOD, api.SwitchRoadRequest(), signed_in)
    assert (failure.code, failure.message) == (grpc.StatusCode.UNAVAILABLE, reply.json["message"])
    assert without_toll_roads.internal.post("/toll-roads/v1/offer", {}).error == (503, 14)


def test_without_the_service_a_stranger_still_gets_401(without_toll_roads: RunningEnvoy) -> None:
    assert without_toll_roads.public.post(SWITCH, {}).error == (401, 16)


def test_without_one_service_the_others_respond(
    without_toll_roads: RunningEnvoy, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    assert without_toll_roads.public.request("GET", f"{THINGS}/a", None, signed_in).status == 200


def test_a_server_that_reports_not_serving_gets_no_calls_until_it_serves(
    public: Listener, upstream: Upstream, loop: LoopThread, signed_in: dict[str, str]
) -> None:
    def wait_for(status: int) -> None:
        eventually(lambda: public.post(SWITCH, {}, signed_in).status == status)

    loop.run(upstream.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING))
    try:
        wait_for(503)
    finally:
        loop.run(upstream.health.set("", health_pb2.HealthCheckResponse.SERVING))
    wait_for(200)


async def never(call: Call, context: Context) -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def test_a_server_that_exceeds_the_contracts_deadline_causes_504(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str], sample: FileDescriptor
) -> None:
    upstream.handler = never
    reply = public.request("GET", f"{THINGS}/a", None, signed_in)
    assert reply.error == (504, 4)
    request = message_factory.GetMessageClass(sample.message_types_by_name["GetThingRequest"])()
    method = "ridehail.gatewaysample.v1.PassengerSampleService/GetThing"
    failure = native.failure(channel(public), method, request, signed_in)
    assert (failure.code, failure.message) == (grpc.StatusCode.DEADLINE_EXCEEDED, reply.json["message"])


def unavailable_once(upstream: Upstream) -> None:
    async def answer(call: Call, context: Context) -> Message:
        if len(upstream.calls) == 1:
            return await fails(grpc.StatusCode.UNAVAILABLE, "later")(call, context)
        return call.response_type()

    upstream.handler = answer


def test_a_read_at_an_unavailable_server_is_retried_once(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    unavailable_once(upstream)
    assert public.request("GET", f"{THINGS}/a", None, signed_in).status == 200
    assert len(upstream.calls) == 2


def test_a_read_is_retried_only_once(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    upstream.handler = fails(grpc.StatusCode.UNAVAILABLE, "later")
    assert public.request("GET", f"{THINGS}/a", None, signed_in).error == (503, 14)
    assert len(upstream.calls) == 2


def test_a_write_is_never_retried(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    unavailable_once(upstream)
    assert public.post(THINGS, {}, signed_in).error == (503, 14)
    assert len(upstream.calls) == 1
