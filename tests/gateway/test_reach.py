"""What can be reached on which listener. Everything else does not exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from ridehail.ordercore.v1 import order_core_api_pb2
from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.gateway import native
from tests.gateway.envoy_process import Listener
from tests.gateway.upstream import Upstream

SWITCH = "/4.0/toll-roads/v1/order"
SAVE_OFFER = "/toll-roads/v1/offer"
TOLL_ROADS = "ridehail.tollroads.v1.TollRoadsService"
PASSENGER_TOLL_ROADS = "ridehail.tollroads.v1.PassengerTollRoadsService"
CHECK = "envoy.service.auth.v3.Authorization/Check"
HEALTH = "grpc.health.v1.Health/Check"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

OpenChannel = Callable[[Listener], grpc.Channel]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("POST", "/nowhere"),
        ("GET", SWITCH),
        ("PUT", SWITCH),
        ("DELETE", SWITCH),
        ("HEAD", SWITCH),
        ("OPTIONS", SWITCH),
        ("POST", SWITCH + "/"),
        ("POST", SWITCH + "/more"),
        ("POST", SWITCH.upper()),
        ("POST", SAVE_OFFER),
        ("POST", "/toll-roads/v1/order/retrieve"),
        ("POST", f"/{PASSENGER_TOLL_ROADS}/SwitchRoad"),
        ("POST", f"/{TOLL_ROADS}/SaveOffer"),
        ("POST", f"/{CHECK}"),
        ("POST", f"/{HEALTH}"),
        ("GET", "/ready"),
        ("GET", "/config_dump"),
    ],
)
def test_on_the_public_listener_json_reaches_bindings_of_passenger_methods_only(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], method: str, path: str
) -> None:
    for headers in (signed_in, {}):
        reply = public.request(method, path, b"{}", headers)
        if method == "HEAD":
            assert reply.status == 404
        else:
            assert reply.error == (404, 5)
    assert upstream.calls == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/nowhere"),
        ("GET", SAVE_OFFER),
        ("POST", SWITCH),
        ("POST", f"/{TOLL_ROADS}/SaveOffer"),
        ("POST", f"/{PASSENGER_TOLL_ROADS}/SwitchRoad"),
        ("POST", f"/{CHECK}"),
    ],
)
def test_on_the_internal_listener_json_reaches_bindings_of_internal_methods_only(
    internal: Listener, upstream: Upstream, signed_in: dict[str, str], method: str, path: str
) -> None:
    assert internal.request(method, path, b"{}", signed_in).error == (404, 5)
    assert upstream.calls == []


@pytest.mark.parametrize(
    "method",
    [
        f"{TOLL_ROADS}/SaveOffer",
        f"{TOLL_ROADS}/BatchRetrieveOrders",
        "ridehail.ordercore.v1.OrderCoreService/PutOrder",
        f"{PASSENGER_TOLL_ROADS}/Unknown",
        f"{PASSENGER_TOLL_ROADS}/SwitchRoad/",
        "4.0/toll-roads/v1/order",
        CHECK,
        HEALTH,
        REFLECTION,
    ],
)
def test_on_the_public_listener_grpc_reaches_passenger_methods_only(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str], method: str
) -> None:
    for headers in (signed_in, {}):
        failure = native.failure(channel(public), method, Empty(), headers)
        assert (failure.code, failure.message) == (grpc.StatusCode.UNIMPLEMENTED, "there is no such method")
    assert upstream.calls == []


@pytest.mark.parametrize("method", [f"{PASSENGER_TOLL_ROADS}/SwitchRoad", CHECK, HEALTH, REFLECTION])
def test_on_the_internal_listener_grpc_reaches_internal_methods_only(
    internal: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str], method: str
) -> None:
    failure = native.failure(channel(internal), method, Empty(), signed_in)
    assert failure.code is grpc.StatusCode.UNIMPLEMENTED
    assert upstream.calls == []


def test_a_method_without_a_binding_is_reached_by_grpc(
    internal: Listener, upstream: Upstream, channel: OpenChannel
) -> None:
    request = api.BatchRetrieveOrdersRequest(order_ids=["a", "b"])
    native.call(channel(internal), f"{TOLL_ROADS}/BatchRetrieveOrders", request)
    assert upstream.only_call.request == request
    native.call(
        channel(internal),
        "ridehail.ordercore.v1.OrderCoreService/GetOrderInfo",
        order_core_api_pb2.GetOrderInfoRequest(order_id="a"),
    )
    assert upstream.calls[1].method == "ridehail.ordercore.v1.OrderCoreService/GetOrderInfo"


def test_a_grpc_request_on_a_json_path_does_not_exist(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    reply = public.post(SWITCH, b"\0\0\0\0\0", {**signed_in, "content-type": "application/grpc"})
    assert reply.headers["grpc-status"] == "12"
    assert upstream.calls == []


@pytest.mark.parametrize("path", ["//4.0//toll-roads/v1/order", "/x/../4.0/./toll-roads/v1/order"])
def test_a_path_is_normalised_before_it_is_matched(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], path: str
) -> None:
    assert public.post(path, {}, signed_in).status == 200
    assert upstream.only_call.method == f"{PASSENGER_TOLL_ROADS}/SwitchRoad"


@pytest.mark.parametrize("path", ["/4.0%2Ftoll-roads/v1/order", "/4.0%2ftoll-roads/v1/order", "/4.0/toll-roads%5Cv1"])
def test_an_escaped_slash_is_refused(public: Listener, signed_in: dict[str, str], path: str) -> None:
    assert public.post(path, {}, signed_in).error == (400, 3)


def test_json_passes_over_http2(public: Listener, upstream: Upstream, token: str) -> None:
    command = [
        "curl",
        "-sS",
        "--http2-prior-knowledge",
        "-w",
        " %{http_version} %{http_code}",
        "-d",
        '{"order_id":"o"}',
    ]
    url = f"http://{public.address}{SWITCH}"
    ended = subprocess.run([*command, "-H", f"Authorization: Bearer {token}", url], capture_output=True, check=True)
    assert ended.stdout == b"{} 2 200"
    assert upstream.only_call.request == api.SwitchRoadRequest(order_id="o")
    ended = subprocess.run([*command, url], capture_output=True, check=True)
    assert re.fullmatch(rb'\{"code":16,.*SESSION_MISSING.*\}\s+2 401', ended.stdout)


def test_a_clients_request_id_is_replaced_on_the_public_listener_and_kept_on_the_internal(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    headers = {**signed_in, "x-request-id": "mine"}
    outside = public.post(SWITCH, {}, headers)
    inside = internal.post(SAVE_OFFER, {}, headers)
    ids: list[Any] = [arrived.header("x-request-id") for arrived in upstream.calls]
    assert ids == [outside.headers["x-request-id"], inside.headers["x-request-id"]]
    assert ids[1] == "mine"
    assert re.fullmatch("[0-9a-f-]{36}", ids[0])


def test_a_client_cannot_configure_envoy_by_headers(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    tricks = {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-max-retries": "9", "x-envoy-original-path": "/lie"}
    assert public.post(SWITCH, {}, {**signed_in, **tricks}).status == 200
    arrived = upstream.only_call
    assert [name for name, _value in arrived.metadata if name.startswith("x-envoy")] == []
