"""The HTTP proxies of a small YTsaurus cluster: a light one and a heavy one, on loopback."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yt.yson

from tests.support.yt_cluster import YtCluster
from tests.support.yt_tree import YtRefusal

# Input and output of each command, whether it changes anything, and whether it is for heavy proxies.
_DESCRIPTIONS = {
    "start_transaction": (None, "structured", True, False),
    "ping_transaction": (None, None, True, False),
    "commit_transaction": (None, None, True, False),
    "abort_transaction": (None, None, True, False),
    "create": (None, "structured", True, False),
    "exists": (None, "structured", False, False),
    "get": (None, "structured", False, False),
    "set": ("structured", None, True, False),
    "list": (None, "structured", False, False),
    "lock": (None, "structured", True, False),
    "write_table": ("tabular", None, True, True),
    "read_table": (None, "tabular", False, True),
    "start_operation": (None, "structured", True, False),
    "get_operation": (None, "structured", False, False),
}

_STATUSES = {"unavailable": 503, "failed": 500}


@contextmanager
def yt_proxies(cluster: YtCluster, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serves a cluster for the length of the block; yields host and port of its light proxy."""
    light, heavy = (_Proxy(cluster, is_heavy=is_heavy) for is_heavy in (False, True))
    cluster.heavy_hosts = [heavy.address]
    if tls is not None:
        for proxy in (light, heavy):
            proxy.socket = tls.wrap_socket(proxy.socket, server_side=True)
    threads = [threading.Thread(target=proxy.serve_forever, args=(0.02,)) for proxy in (light, heavy)]
    for thread in threads:
        thread.start()
    try:
        yield light.address
    finally:
        cluster.stopped.set()
        for proxy in (light, heavy):
            proxy.shutdown()
            proxy.server_close()
        for thread in threads:
            thread.join()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, cluster: YtCluster, *, is_heavy: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cluster = cluster
        self.is_heavy = is_heavy

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        # A client that was killed, or a connection that a fault has ended.
        if not isinstance(error, ConnectionError):
            self.cluster.errors.append(error)
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy
    protocol_version = "HTTP/1.1"
    # Small responses do not wait for an acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api":
            return self._respond(["v3", "v4"])
        if path == "/hosts":
            return self._respond(self.server.cluster.heavy_hosts)
        if path == "/api/v4":
            names = ("input_type", "output_type", "is_volatile", "is_heavy")
            return self._respond(
                [{"name": name, **dict(zip(names, of, strict=True))} for name, of in _DESCRIPTIONS.items()]
            )
        return self._command(path.rpartition("/")[2])

    def _command(self, command: str) -> None:
        cluster = self.server.cluster
        if cluster.token is not None and self.headers["Authorization"] != f"OAuth {cluster.token}":
            return self._respond(_error(900, "Authentication failed"), status=401)
        fault = cluster.fault(command)
        if fault == "hung":
            cluster.stopped.wait()
        if fault in {"hung", "cut"}:
            return self._end()
        body = self._body()
        is_known = command in _DESCRIPTIONS
        if fault in _STATUSES or not is_known or (_DESCRIPTIONS[command][3] and not self.server.is_heavy):
            status = _STATUSES.get(fault or "", 503 if is_known else 404)
            return self._respond(_error(1, "the proxy is broken, or not for this command"), status=status)
        return self._execute(command, body, fault)

    def _execute(self, command: str, body: bytes, fault: str | None) -> None:
        cluster = self.server.cluster
        parameters = yt.yson.loads(self.headers.get("X-YT-Parameters", "").encode("latin1") or body)
        try:
            rows = _parsed(body, parameters["input_format"]) if "input_format" in parameters else []
            response = cluster.execute(command, parameters, rows)
        except YtRefusal as error:
            return self._respond(_error(error.code, error.message), status=400)
        if fault == "forgotten":
            cluster.forget(parameters.get("mutation_id"))
        if fault in {"lost", "forgotten"}:
            return self._end()
        if command == "read_table":
            return self._stream(response, parameters, is_half=fault == "half")
        return self._respond(response)

    def _body(self) -> bytes:
        """Reads the body of the request.

        Raises:
            ConnectionError: It ends too early: nothing of it counts.
        """
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self._exactly(int(self.headers.get("Content-Length", 0)))
        whole = b""
        while size := int(self.rfile.readline() or self._exactly(1), 16):
            whole += self._exactly(size)
            self._exactly(2)
        self._exactly(2)
        # Both of gzip and zlib have this name here.
        return zlib.decompress(whole, wbits=47) if self.headers.get("Content-Encoding") == "gzip" else whole

    def _exactly(self, size: int) -> bytes:
        found = self.rfile.read(size)
        if len(found) < size:
            raise ConnectionError
        return found

    def _respond(self, content: Any, *, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 400:
            self.send_header("X-YT-Error", json.dumps(content))
            self.send_header("X-YT-Response-Code", str(content["code"]))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, rows: Any, parameters: Mapping[str, Any], *, is_half: bool) -> None:
        _check_format(parameters["output_format"])
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-YT-Response-Parameters", "{start_row_index=0;approximate_row_count=0}")
        self.end_headers()
        lines = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        if lines:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(lines), lines[: len(lines) // 2] if is_half else lines))
        if is_half:
            return self._end()
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _end(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _parsed(body: bytes, input_format: Any) -> list[Any]:
    if str(input_format) == "json" and "encode_utf8" not in input_format.attributes:
        return [json.loads(body)]  # of a light command: one value
    _check_format(input_format)
    return [json.loads(line) for line in body.splitlines()]


def _check_format(given: Any) -> None:
    assert str(given) == "json"
    assert given.attributes["encode_utf8"] in {False, "false"}


def _error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "attributes": {}, "inner_errors": []}
