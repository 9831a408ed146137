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
from tests.gateway import native
from tests.gateway.running_envoy import Listener, RunningEnvoy, running_envoy
from tests.gateway.upstream import Upstream

SWITCH = "/4.0/toll-roads/v1/order"
SWITCH_METHOD = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
LIMIT = 256 * 1024

OpenChannel = Callable[[Listener], grpc.Channel]


def body_of(size: int) -> bytes:
    """Returns a good JSON body of so many bytes."""
    frame = b'{"order_id":""}'
    return frame[:-2] + b"o" * (size - len(frame)) + frame[-2:]


def test_a_body_of_256_kib_passes(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    assert public.post(SWITCH, body_of(LIMIT), signed_in).status == 200
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("with_session", [True, False])
def test_a_larger_body_gets_413(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], with_session: bool
) -> None:
    reply = public.post(SWITCH, body_of(300 * 1024), signed_in if with_session else {})
    assert reply.error == (413, 8)
    assert upstream.calls == []


def test_a_body_of_unknown_length_has_the_same_limit(public: Listener, upstream: Upstream, token: str) -> None:
    ended = subprocess.run(
        (
            *("curl", "-sS", "-w", " %{http_code}", "-H", "Expect:", "-H", "Transfer-Encoding: chunked"),
            *("-H", f"Authorization: Bearer {token}", "--data-binary", "@-", f"http://{public.address}{SWITCH}"),
        ),
        input=body_of(300 * 1024),
        capture_output=True,
        check=True,
    )
    assert ended.stdout.endswith(b" 413")
    assert upstream.calls == []


def test_the_internal_listener_has_the_same_limit(internal: Listener, upstream: Upstream) -> None:
    assert internal.post("/toll-roads/v1/offer", body_of(300 * 1024)).error == (413, 8)
    assert upstream.calls == []


def test_a_grpc_message_has_the_same_limit(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str]
) -> None:
    request = api.SwitchRoadRequest(order_id="o" * 300 * 1024)
    failure = native.failure(channel(public), SWITCH_METHOD, request, signed_in)
    assert (failure.code, failure.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "the request is too large")
    assert upstream.calls == []


def test_headers_that_are_too_large_or_too_many_get_431(public: Listener, signed_in: dict[str, str]) -> None:
    assert public.post(SWITCH, {}, {**signed_in, "x-large": "x" * 33 * 1024}).error == (431, 3)
    assert public.post(SWITCH, {}, {**signed_in, **{f"x-{n}": "x" for n in range(100)}}).error == (431, 3)


def test_a_header_with_an_underscore_is_refused(
    public: Listener, upstream: Upstream, channel: OpenChannel, signed_in: dict[str, str]
) -> None:
    assert public.post(SWITCH, {}, {**signed_in, "x_yandex_uid": "1"}).error == (400, 3)
    headers = {**signed_in, "x_yandex_uid": "1"}
    failure = native.failure(channel(public), SWITCH_METHOD, api.SwitchRoadRequest(), headers)
    assert failure.code is grpc.StatusCode.INTERNAL
    assert upstream.calls == []


def test_a_request_that_http_does_not_know_gets_400(public: Listener) -> None:
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


def test_a_transfer_encoding_that_it_does_not_know_gets_501(public: Listener) -> None:
    answer = public.raw(f"POST {SWITCH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n".encode())
    assert answer.startswith(b"501")
    assert b'"code":12' in answer


def test_an_old_version_of_http_gets_426(public: Listener) -> None:
    answer = public.raw(f"POST {SWITCH} HTTP/1.0\r\nhost: x\r\n\r\n".encode())
    assert answer.startswith(b"426")
    assert b'"code":9' in answer


@pytest.fixture(scope="module")
def impatient(settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path) -> Iterator[RunningEnvoy]:
    """A gateway that waits 0.3 s for a request."""
    here = folder / "impatient"
    here.mkdir()
    changed = {"admin_socket": here / "admin", "access_log": here / "access.log", "request_timeout_s": 0.3}
    with running_envoy(render(settings.model_copy(update=changed), definitions), here) as envoy:
        yield envoy


@pytest.mark.parametrize("sent", ["content-length: 9\r\n\r\n{", "x-slow: "], ids=["half a body", "half the headers"])
def test_a_request_that_does_not_arrive_in_time_gets_408(impatient: RunningEnvoy, token: str, sent: str) -> None:
    start = f"POST {SWITCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    answer = impatient.public.raw((start + sent).encode())
    assert answer.startswith(b"408")
    assert b"content-type: application/json" in answer.lower()
    assert b'"code":4' in answer


def test_a_101st_stream_of_a_connection_waits(gateway: RunningEnvoy) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
    with socket.create_connection(("127.0.0.1", gateway.public.port), timeout=10) as connection:
        connection.sendall(preface)
        settings_frame = connection.recv(4096)
    # SETTINGS_MAX_CONCURRENT_STREAMS (0x3) = 100
    assert b"\x00\x03" + (100).to_bytes(4, "big") in settings_frame
