"""Envoy as a process, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ridehail_servers.gateway.envoy_program import envoy_command
from tests.support.waiting import LIMIT_S, eventually


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be declared as JSON."""
        assert self.headers["content-type"].split(";")[0] == "application/json", (self.headers, self.body)
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, int]:
        """The HTTP status and the code of a JSON error, whose shape is checked."""
        assert set(self.json) == {"code", "message", "details"}, self.body
        assert isinstance(self.json["message"], str)
        assert self.json["message"]
        assert isinstance(self.json["details"], list)
        return self.status, self.json["code"]

    @property
    def reason(self) -> str:
        (info,) = self.json["details"]
        assert info == {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": info["reason"],
            "domain": "ridehail",
            "metadata": {},
        }
        return str(info["reason"])


@dataclass(frozen=True)
class Listener:
    port: int

    @property
    def address(self) -> str:
        """For gRPC."""
        return f"127.0.0.1:{self.port}"

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Sends one HTTP/1.1 request on a connection of its own; a mapping is sent as JSON, an iterator in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        content = json.dumps(body).encode() if isinstance(body, Mapping) else body
        try:
            connection.request(method, path, content, {"content-type": "application/json", **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(
        self, path: str, body: bytes | Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        return self.request("POST", path, body if body is not None else {}, headers)

    def raw(self, text: bytes) -> bytes:
        """Sends the bytes and returns everything until Envoy closes the connection or pauses."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S) as connection:
            connection.sendall(text)
            response = http.client.HTTPResponse(connection)
            response.begin()
            head = f"{response.status}\r\n{response.headers}".encode()
            return head + response.read()


@dataclass(frozen=True)
class RunningEnvoy:
    public: Listener
    internal: Listener
    access_log: Path
    log: Path
    admin_socket: Path

    def admin(self, what: str) -> bytes:
        """Queries Envoy's administration."""
        return _admin(self.admin_socket, what)


@contextmanager
def running_envoy(config: str, folder: Path) -> Iterator[RunningEnvoy]:
    """Runs Envoy on the configuration for the length of the block.

    Args:
        config: Rendered with ports 0, the administration at `folder/admin` and the access log `folder/access.log`.
        folder: Takes all that Envoy writes.
    """
    file = folder / "envoy.yaml"
    file.write_text(config)
    log = folder / "envoy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(envoy_command(file), stdout=output, stderr=output)
    try:
        ports = _wait_for_ports(process, folder / "admin", log)
        yield RunningEnvoy(
            Listener(ports["public"]),
            Listener(ports["internal"]),
            access_log=folder / "access.log",
            log=log,
            admin_socket=folder / "admin",
        )
    finally:
        process.terminate()
        try:
            process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(LIMIT_S)


def _wait_for_ports(process: subprocess.Popen[bytes], admin: Path, log: Path) -> dict[str, int]:
    def ports() -> dict[str, int] | None:
        assert process.poll() is None, log.read_text()
        if not _admin(admin, "/ready").startswith(b"LIVE"):
            return None
        listeners = json.loads(_admin(admin, "/listeners?format=json"))["listener_statuses"]
        return {it["name"]: it["local_address"]["socket_address"]["port_value"] for it in listeners}

    return eventually(ports, unless=OSError)


def _admin(path: Path, what: str) -> bytes:
    connection = http.client.HTTPConnection("localhost", timeout=LIMIT_S)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", what)
        return connection.getresponse().read()
    finally:
        connection.close()
