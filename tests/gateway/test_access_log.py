"""What the access log contains, and what it never does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.gateway import native
from tests.gateway.envoy_process import Reply, RunningEnvoy
from tests.gateway.upstream import Upstream, fails
from tests.support.waiting import eventually

SWITCH = "/4.0/toll-roads/v1/order"
SWITCH_METHOD = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"


def line_of(gateway: RunningEnvoy, request_id: str) -> dict[str, Any]:
    """Returns the line of a request, once it is written."""

    def found() -> dict[str, Any] | None:
        lines = gateway.access_log.read_text().splitlines()
        return next((json.loads(line) for line in lines if request_id in line), None)

    return eventually(found)


def test_a_json_request_is_one_line_without_its_query(
    gateway: RunningEnvoy, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    upstream.handler = fails(grpc.StatusCode.NOT_FOUND, "gone", trailing=(("x-http-status", "406"),))
    reply = gateway.public.request("GET", "/sample/v1/things/thing-1?known_version=5", None, signed_in)
    entry = line_of(gateway, reply.headers["x-request-id"])
    assert isinstance(entry.pop("duration_ms"), int)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "listener": "public",
        "request_id": reply.headers["x-request-id"],
        "http_method": "GET",
        "path": "/sample/v1/things/thing-1",
        "protocol": "HTTP/1.1",
        "method": "ridehail.gatewaysample.v1.PassengerSampleService/GetThing",
        "status": 406,
        "flags": "-",
        "request_bytes": 0,
        "response_bytes": len(reply.body),
        "upstream": "sample",
    }


def test_a_grpc_call_is_one_line_with_its_grpc_status(
    gateway: RunningEnvoy,
    upstream: Upstream,
    channel: Callable[[Any], grpc.Channel],
    signed_in: dict[str, str],
) -> None:
    upstream.handler = fails(grpc.StatusCode.NOT_FOUND, "gone")
    failure = native.failure(channel(gateway.public), SWITCH_METHOD, api.SwitchRoadRequest(), signed_in)
    entry = line_of(gateway, str(failure.trailing["x-request-id"]))
    assert (entry["method"], entry["status"], entry["grpc_status"]) == (SWITCH_METHOD, 200, 5)
    assert entry["protocol"] == "HTTP/2"


@pytest.mark.parametrize(
    "outcome", ["success", "server's error", "bad JSON", "no session", "no such path", "bad query"]
)
def test_nothing_personal_is_logged(
    gateway: RunningEnvoy, upstream: Upstream, signed_in: dict[str, str], token: str, outcome: str
) -> None:
    canary = "canary-value"
    headers = {**signed_in, "user-agent": canary, "referer": canary, "cookie": canary, "x-forwarded-for": canary}
    headers |= {"x-yandex-uid": canary, "accept-language": canary}

    def send() -> Reply:
        match outcome:
            case "bad JSON":
                return gateway.public.post(SWITCH, b'{"order_id": %s' % canary.encode(), headers)
            case "no session":
                return gateway.public.post(SWITCH, {"order_id": canary}, {**headers, "authorization": canary})
            case "no such path":
                return gateway.public.post(f"/nowhere?uid={canary}", {"order_id": canary}, headers)
            case "bad query":
                return gateway.public.post(f"{SWITCH}?{canary}={canary}", {"order_id": canary}, headers)
        if outcome == "server's error":
            info = error_details_pb2.ErrorInfo(reason=canary, domain=canary, metadata={"a": canary})
            upstream.handler = fails(grpc.StatusCode.NOT_FOUND, canary, info)
        return gateway.public.post(SWITCH, {"order_id": canary}, headers)

    line_of(gateway, send().headers["x-request-id"])
    for written in (gateway.access_log, gateway.log):
        text = written.read_text()
        for secret in (canary, token, "4000000001999", "user-1", "phone-1"):
            assert secret not in text


def early_line_of(gateway: RunningEnvoy, path: str) -> dict[str, Any]:
    """Returns the line of a request that was refused before it had an id, once it is written."""

    def found() -> dict[str, Any] | None:
        entries = map(json.loads, gateway.access_log.read_text().splitlines())
        return next((entry for entry in entries if (entry["path"] or "").startswith(path)), None)

    return eventually(found)


LIES = {"x-request-id": "lie", "x-envoy-original-path": "/lie", "x-envoy-original-method": "LIE"}


def test_an_early_refusal_is_logged_by_the_actual_request(gateway: RunningEnvoy) -> None:
    reply = gateway.public.post("/early-1%2F?secret=1", {}, LIES)
    assert reply.error == (400, 3)
    entry = early_line_of(gateway, "/early-1")
    assert "request_id" not in entry
    assert (entry["http_method"], entry["path"], entry["status"]) == ("POST", "/early-1/", 400)
    assert "lie" not in str(entry).lower()


def test_a_client_cannot_make_its_native_call_look_like_json(gateway: RunningEnvoy) -> None:
    reply = gateway.public.post("/early-2%2F", b"", {**LIES, "content-type": "application/grpc"})
    assert reply.headers["grpc-status"] == "3"


@pytest.mark.parametrize("path", ["/late-1", SWITCH])
def test_a_client_cannot_forge_the_logged_path_and_id(gateway: RunningEnvoy, path: str) -> None:
    reply = gateway.public.post(path, {}, LIES)
    entry = line_of(gateway, reply.headers["x-request-id"])
    assert (entry["http_method"], entry["path"]) == ("POST", path)
    assert "lie" not in str(entry).lower()
