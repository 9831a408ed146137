"""Who may not pass is told so before a body is read, so strangers cannot fill the gateway's memory."""

# ruff: noqa: F401, F811 - the fixtures are the gateway's tests' own
from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.gateway.configuration import GatewaySettings, render
from tests.gateway.conftest import (
    config_dir,
    definitions,
    descriptor_set,
    folder,
    gateway,
    keys_dir,
    loop,
    sample,
    servers,
    session_keys,
    settings,
    signed_in,
    token,
    upstream,
)
from tests.gateway.envoy_process import Listener, RunningEnvoy, running_envoy
from tests.gateway.upstream import Upstream
from tests.support.grpcurl import Grpcurl, GrpcurlFailed
from tests.support.waiting import LIMIT_S, eventually

SWITCH = "/4.0/toll-roads/v1/order"
THINGS = "/sample/v1/things"
SWITCH_METHOD = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
HELD_BYTES = 200 * 1024


@contextmanager
def held_request(
    listener: Listener, path: str, headers: str, sent: bytes, method: str = "POST"
) -> Iterator[socket.socket]:
    """Sends the start of a request whose body never ends."""
    with socket.create_connection(("127.0.0.1", listener.port), timeout=LIMIT_S) as connection:
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n{headers}\r\n"
        connection.sendall(head.encode())
        try:
            if sent:
                connection.sendall(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
        except ConnectionError:
            pass  # refused already
        yield connection


def status_of(connection: socket.socket) -> int:
    """Returns the answer's status. Once the gateway has waited for the body for long enough that is 408."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status


def allocated(gateway: RunningEnvoy) -> int:
    """Returns how many bytes Envoy holds."""
    memory = json.loads(gateway.admin("/memory"))
    return int(memory["allocated"])


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (SWITCH, "", 401),
        (SWITCH, "authorization: Bearer x\r\n", 401),
        (SWITCH, "authorization: Basic x\r\n", 401),
        ("/nowhere", "", 404),
        ("/", "content-type: application/json\r\n", 404),
        ("/toll-roads/v1/offer", "", 404),
        ("/config_dump", "", 404),
        (SWITCH_METHOD, "content-type: application/json\r\n", 404),
    ],
)
@pytest.mark.parametrize("sent", [b"", b"{", b"x" * HELD_BYTES], ids=["nothing", "a byte", "200 KiB"])
def test_a_stranger_is_answered_though_the_body_never_ends(
    gateway: RunningEnvoy, upstream: Upstream, *, path: str, headers: str, status: int, sent: bytes
) -> None:
    with held_request(gateway.public, path, headers, sent) as connection:
        assert status_of(connection) == status
    assert upstream.calls == []


@pytest.mark.parametrize("path", ["/nowhere", SWITCH, THINGS])
def test_with_a_session_too_an_unknown_path_is_answered_at_once(gateway: RunningEnvoy, token: str, path: str) -> None:
    headers = f"authorization: Bearer {token}\r\n"
    with held_request(gateway.public, path, headers, b"", method="PUT") as connection:
        assert status_of(connection) == 404


def test_the_internal_listener_answers_unknown_paths_at_once(gateway: RunningEnvoy) -> None:
    for path in ("/nowhere", SWITCH, "/"):
        with held_request(gateway.internal, path, "", b"x" * HELD_BYTES) as connection:
            assert status_of(connection) == 404


def test_strangers_bodies_are_not_kept(gateway: RunningEnvoy, token: str) -> None:
    enough = 5 * HELD_BYTES

    def hold(stack: ExitStack, path: str, headers: str) -> list[socket.socket]:
        return [stack.enter_context(held_request(gateway.public, path, headers, b"x" * HELD_BYTES)) for _ in range(10)]

    # A passenger's bodies are kept until they are whole, so this would show.
    before = allocated(gateway)
    with ExitStack() as stack:
        hold(stack, THINGS, f"authorization: Bearer {token}\r\n")
        eventually(lambda: allocated(gateway) - before > enough)
    for path, headers, answer in (
        ("/nowhere", "", 404),
        (SWITCH, "", 401),
        (THINGS, "authorization: Bearer x\r\n", 401),
    ):
        before = allocated(gateway)
        with ExitStack() as stack:
            for held in hold(stack, path, headers):
                assert status_of(held) == answer
            # Of ten bodies that were kept, all would be there for as long as the connections are.
            eventually(partial(_grew_by_less, gateway, before, enough / 2))


def _grew_by_less(gateway: RunningEnvoy, before: int, than: float) -> bool:
    return allocated(gateway) - before < than


@pytest.fixture(scope="module")
def small(settings: GatewaySettings, definitions: list[ServiceDefinition], folder: Path) -> Iterator[RunningEnvoy]:
    """A gateway with little memory."""
    here = folder / "small"
    here.mkdir()
    changed = {"admin_socket": here / "admin", "access_log": here / "access.log", "max_heap_bytes": 64 * 1024**2}
    with running_envoy(render(settings.model_copy(update=changed), definitions), here) as envoy:
        yield envoy


def test_however_much_strangers_send_passengers_and_services_are_served(
    small: RunningEnvoy, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    paths = (SWITCH, "/nowhere")
    with ExitStack() as stack:
        for turn in range(400):  # 80 MB
            stack.enter_context(held_request(small.public, paths[turn % 2], "", b"x" * HELD_BYTES))
            if turn % 20 == 0:
                assert small.public.post(SWITCH, {}, signed_in).status == 200
                assert small.internal.post("/toll-roads/v1/offer", {}).status == 200


UPGRADE = {
    "a websocket": "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n",
    "HTTP/2": "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
}


@pytest.mark.parametrize("upgrade", UPGRADE)
@pytest.mark.parametrize("path", [SWITCH, "/nowhere", f"{THINGS}/a"])
@pytest.mark.parametrize("listener", ["public", "internal"])
@pytest.mark.parametrize("with_session", [True, False])
def test_an_upgrade_is_refused_at_once(
    gateway: RunningEnvoy, token: str, *, upgrade: str, path: str, listener: str, with_session: bool
) -> None:
    session = f"authorization: Bearer {token}\r\n" if with_session else ""
    port = {"public": gateway.public, "internal": gateway.internal}[listener].port
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n{session}{UPGRADE[upgrade]}\r\n".encode())
        assert status_of(connection) in {200, 400, 401, 403, 404}


def test_a_connect_request_is_refused_at_once(gateway: RunningEnvoy) -> None:
    with socket.create_connection(("127.0.0.1", gateway.public.port), timeout=LIMIT_S) as connection:
        connection.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n")
        assert status_of(connection) in {400, 403, 404}


@pytest.mark.parametrize("listener", ["public", "internal"])
def test_reflection_is_refused_at_once(gateway: RunningEnvoy, listener: str, grpcurl_program: Grpcurl) -> None:
    address = {"public": gateway.public, "internal": gateway.internal}[listener].address
    with pytest.raises(GrpcurlFailed, match="does not support the reflection API"):
        grpcurl_program.run("-plaintext", address, "list")


def test_an_open_stream_to_an_unknown_method_is_refused_at_once(gateway: RunningEnvoy) -> None:
    never = threading.Event()

    def silence() -> Iterator[bytes]:
        never.wait()
        yield b""

    with grpc.insecure_channel(gateway.public.address) as channel:
        answers: Any = channel.stream_stream(REFLECTION, bytes, bytes)(silence(), timeout=LIMIT_S)
        with pytest.raises(grpc.RpcError) as refused:
            next(answers)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        never.set()
