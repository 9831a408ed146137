"""What the gateway refuses for its size, its form or its slowness."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.gateway.configuration import GatewaySettings, render
from ridehail_servers.gateway.routes import gateway_routes
from tests.gateway import native
from tests.gateway.envoy_process import Listener, Reply, RunningEnvoy, running_envoy
from tests.gateway.upstream import Upstream
from tests.support.waiting import LIMIT_S

SWITCH = "/4.0/toll-roads/v1/order"
THINGS = "/sample/v1/things"
SWITCH_METHOD = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
SAVE_METHOD = "ridehail.tollroads.v1.TollRoadsService/SaveOffer"
LIMIT = 256 * 1024
SMALL_LIMIT = 16 * 1024

OpenChannel = Callable[[Listener], grpc.Channel]


def body_of(size: int) -> bytes:
    """Returns a valid JSON body of this size for `SWITCH`."""
    frame = b'{"order_id":""}'
    return frame[:-2] + b"o" * (size - len(frame)) + frame[-2:]


def large_body_of(size: int) -> bytes:
    """Returns a valid JSON body of this size for `THINGS`, whose rules bound nothing."""
    frame = b'{"thing":{"thing_id":""}}'
    return frame[:-3] + b"o" * (size - len(frame)) + frame[-3:]


def test_a_body_without_bounds_in_the_contract_may_have_256_kib(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    assert public.post(THINGS, large_body_of(LIMIT), signed_in).status == 200
    assert len(upstream.calls) == 1
    assert public.post(THINGS, large_body_of(LIMIT + 1), signed_in).error == (413, 8)
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("with_session", [True, False])
def test_a_body_that_states_a_larger_size_gets_413(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], with_session: bool
) -> None:
    reply = public.post(THINGS, large_body_of(300 * 1024), signed_in if with_session else {})
    assert reply.error == (413, 8)
    assert upstream.calls == []


def test_a_small_request_has_a_small_limit(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    assert public.post(SWITCH, body_of(SMALL_LIMIT), signed_in).status == 200
    assert public.post(SWITCH, body_of(SMALL_LIMIT + 1), signed_in).error == (413, 8)
    assert len(upstream.calls) == 1


def check_crowded(reply: Reply) -> None:
    """The refusal is what a service says of too many values."""
    assert reply.error == (400, 3)
    info, broken = reply.json["details"]
    assert (info["reason"], info["domain"]) == ("INVALID_REQUEST", "ridehail")
    (violation,) = broken["field_violations"]
    assert (violation["field"], violation["reason"]) == ("", "request.values")


@pytest.mark.parametrize("listener", ["public", "internal"])
def test_a_body_has_as_many_values_as_its_contract_allows(
    gateway: RunningEnvoy,
    upstream: Upstream,
    definitions: list[ServiceDefinition],
    signed_in: dict[str, str],
    listener: str,
) -> None:
    routes = gateway_routes(definitions)
    served = {"public": routes.public, "internal": routes.internal}[listener].methods
    most = {method.name: method.max_json_values for method in served}
    target = {"public": gateway.public, "internal": gateway.internal}[listener]
    path, name = {"public": (SWITCH, SWITCH_METHOD), "internal": ("/toll-roads/v1/offer", SAVE_METHOD)}[listener]
    # The object and the array are values themselves.
    fits = [0] * (most[name] - 2)
    assert target.post(path, {"unknown": [*fits, 0]}, signed_in).status == 200
    refused = target.post(path, {"unknown": [*fits, 0, 0]}, signed_in)
    check_crowded(refused)
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("opening", ["0,", "{},", "[],", '{"a":0},', '"",', "[", '{"a":', ",", "}[", '"a":"\\"",'])
def test_nobody_parses_a_body_of_too_many_values(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], opening: str
) -> None:
    count = 250 * 1024 // len(opening)
    reply = public.post(THINGS, f'{{"unknown":[{opening * count}'.encode(), signed_in)
    check_crowded(reply)
    assert upstream.calls == []


def test_of_a_request_that_is_all_in_its_path_a_small_body_is_ignored(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    for body in (b"", b"{}", b"{}" + b" " * 1022):
        assert public.request("GET", f"{THINGS}/a", body, signed_in).status == 200
    assert len(upstream.calls) == 3
    assert public.request("GET", f"{THINGS}/a", b"{}" + b" " * 1023, signed_in).error == (413, 8)
    assert len(upstream.calls) == 3


@pytest.mark.parametrize("path", [SWITCH, THINGS])
@pytest.mark.parametrize("size", [SMALL_LIMIT + 1, 60 * 1024, 70 * 1024, 140 * 1024, 300 * 1024])
def test_a_body_of_unknown_length_has_the_same_limit(
    public: Listener, upstream: Upstream, token: str, path: str, size: int
) -> None:
    ended = subprocess.run(
        (
            *("curl", "-sS", "-w", " %{http_code}", "-H", "Expect:", "-H", "Transfer-Encoding: chunked"),
            *("-H", f"Authorization: Bearer {token}", "--data-binary", "@-", f"http://{public.address}{path}"),
        ),
        input=body_of(size) if path == SWITCH else large_body_of(size),
        capture_output=True,
        check=False,  # curl minds that a refused request is answered before it has ended
    )
    fits = path == THINGS and size <= LIMIT
    assert ended.stdout.endswith(b" 200" if fits else b" 413")
    assert len(upstream.calls) == fits


def test_a_valid_body_is_kept_while_the_authorizer_decides(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    for _ in range(30):
        assert public.post(THINGS, large_body_of(LIMIT), signed_in).status == 200
    assert len(upstream.calls) == 30


def test_the_internal_listener_has_the_same_limits(internal: Listener, upstream: Upstream) -> None:
    assert internal.post("/toll-roads/v1/offer", body_of(SMALL_LIMIT + 1)).error == (413, 8)
    assert upstream.calls == []


@pytest.mark.parametrize("size", [SMALL_LIMIT + 1, 70 * 1024, 300 * 1024])
def test_a_grpc_message_has_the_same_limit(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str], size: int
) -> None:
    request = api.SwitchRoadRequest(order_id="o" * size)
    failure = native.failure(channel(public), SWITCH_METHOD, request, signed_in)
    assert (failure.code, failure.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "the request is too large")
    assert upstream.calls == []


def test_headers_that_are_too_large_or_too_many_get_431(public: Listener, signed_in: dict[str, str]) -> None:
    assert public.post(SWITCH, {}, {**signed_in, "x-large": "x" * 17 * 1024}).error == (431, 3)
    assert public.post(SWITCH, {}, {**signed_in, **{f"x-{n}": "x" for n in range(100)}}).error == (431, 3)


def test_a_header_with_an_underscore_is_refused(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str]
) -> None:
    assert public.post(SWITCH, {}, {**signed_in, "x_yandex_uid": "1"}).error == (400, 3)
    headers = {**signed_in, "x_yandex_uid": "1"}
    failure = native.failure(channel(public), SWITCH_METHOD, api.SwitchRoadRequest(), headers)
    assert failure.code is grpc.StatusCode.INTERNAL
    assert upstream.calls == []


def test_an_invalid_http_request_gets_400(public: Listener) -> None:
    for request in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\na: \x01\r\n\r\n"):
        answer = public.raw(request)
        assert answer.startswith(b"400")
        assert b'"code":3' in answer


def test_smuggling_a_request_by_two_lengths_gets_400(public: Listener, upstream: Upstream, token: str) -> None:
    inner = f"POST {SWITCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 2\r\n\r\n{{}}"
    answer = public.raw(
        f"POST {SWITCH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(inner)}\r\n"
        f"transfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}".encode()
    )
    assert answer.startswith(b"400")
    assert upstream.calls == []


def test_an_unknown_transfer_encoding_gets_501(public: Listener) -> None:
    answer = public.raw(f"POST {SWITCH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n".encode())
    assert answer.startswith(b"501")
    assert b'"code":12' in answer


def test_an_old_version_of_http_gets_426(public: Listener) -> None:
    answer = public.raw(f"POST {SWITCH} HTTP/1.0\r\nhost: x\r\n\r\n".encode())
    assert answer.startswith(b"426")
    assert b'"code":9' in answer


@pytest.fixture(scope="module")
def short_timeout(
    settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path
) -> Iterator[RunningEnvoy]:
    """A gateway that waits 0.3 s for a request."""
    here = folder / "short_timeout"
    here.mkdir()
    changed = {"admin_socket": here / "admin", "access_log": here / "access.log", "request_timeout_s": 0.3}
    with running_envoy(render(settings.model_copy(update=changed), definitions), here) as envoy:
        yield envoy


@pytest.mark.parametrize("sent", ["content-length: 9\r\n\r\n{", "x-slow: "], ids=["half a body", "half the headers"])
def test_a_request_that_does_not_arrive_in_time_gets_408(short_timeout: RunningEnvoy, token: str, sent: str) -> None:
    start = f"POST {SWITCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    answer = short_timeout.public.raw((start + sent).encode())
    assert answer.startswith(b"408")
    assert b"content-type: application/json" in answer.lower()
    assert b'"code":4' in answer


@pytest.mark.parametrize(("listener", "streams"), [("public", 32), ("internal", 100)])
def test_a_connection_has_a_limit_of_concurrent_streams(gateway: RunningEnvoy, listener: str, streams: int) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
    port = {"public": gateway.public, "internal": gateway.internal}[listener].port
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        connection.sendall(preface)
        settings_frame = connection.recv(4096)
    # Setting 3 is SETTINGS_MAX_CONCURRENT_STREAMS.
    assert b"\x00\x03" + streams.to_bytes(4, "big") in settings_frame
