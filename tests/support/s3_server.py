"""A real S3 server on loopback, with conditional writes, that can be broken at any request.

It is a process of its own: deltalake waits for some responses with Python's lock held.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

from localbucket import S3Handler

from tests.support import processes
from tests.support.waiting import LIMIT_S, eventually

BUCKET = "bucket"
_CONTROL = "/control"


@dataclass
class S3Server:
    """The server, and what is to happen to its requests.

    Attributes:
        folder: Where the objects are.
        port: On loopback.
    """

    folder: Path
    port: int

    @property
    def environment(self) -> Mapping[str, str]:
        """What deltalake takes from the environment."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "local",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret-4711",
        }

    def expect(self, faults: Mapping[int, str]) -> None:
        """Forgets all requests, and says what is to happen to the next ones.

        Args:
            faults: Number of a request, from 0, or -1 for each -> "unavailable" (503), "cut" (the connection ends
                before anything is done), "lost" (it ends after all is done), "kill" (the process that `victim` names
                dies before), or "together" (a write waits for another one of the same object, for a second at most).
        """
        self._victim.unlink(missing_ok=True)
        self._control(json.dumps(dict(faults)).encode())

    def victim(self, process: BaseProcess) -> None:
        """Names the process to be killed; a request that kills waits for it."""
        written = self._victim.with_suffix(".new")
        written.write_text(str(process.pid))
        written.rename(self._victim)

    @property
    def _victim(self) -> Path:
        return self.folder.parent / "victim"

    def requests(self) -> list[tuple[str, str]]:
        """Returns method and path of each request since `expect`."""
        return [(method, path) for method, path in self._control(None)]

    def _control(self, body: bytes | None) -> Any:  # JSON
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{_CONTROL}", body, method="GET" if body is None else "PUT"
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LIMIT_S) as response:
            return json.load(response)


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Serves a folder with an empty bucket for the length of the block."""
    objects, port = folder / "objects", folder / "port"
    (objects / BUCKET).mkdir(parents=True)
    process = processes.start(_serve, objects, port)
    try:
        eventually(port.exists)
        yield S3Server(objects, int(port.read_text()))
    finally:
        process.kill()
        process.join()


def _serve(folder: Path, port: Path) -> None:
    _Handler.data_root = folder
    server = _Server(("127.0.0.1", 0), _Handler)
    written = port.with_suffix(".new")
    written.write_text(str(server.server_port))
    written.rename(port)
    server.serve_forever()


class _Handler(S3Handler):  # type: ignore[misc]  # it has no types
    """Of the server's process, of which there is one for each server."""

    wfile: Any
    disable_nagle_algorithm = True
    changed = threading.Condition()
    faults: ClassVar[dict[int, str]] = {}
    requests: ClassVar[list[tuple[str, str]]] = []

    def log_message(self, *_arguments: object) -> None:
        pass

    def _dispatch(self, action: Any) -> object:
        if self.path == _CONTROL:
            return self._control()
        with self.changed:
            fault = self.faults.pop(len(self.requests), self.faults.get(-1))
            self.requests.append((self.command, self.path))
            self.changed.notify_all()
        return self._broken(fault, action) if fault else super()._dispatch(action)

    def _broken(self, fault: str, action: Any) -> object:
        if fault == "cut":
            return self._end()
        if fault == "unavailable":
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return self._send(503)
        if fault == "lost":
            response, self.wfile = self.wfile, _Nowhere()
            super()._dispatch(action)
            self.wfile = response
            return self._end()
        if fault == "kill":
            victim = self.data_root.parent / "victim"
            eventually(victim.exists)
            os.kill(int(victim.read_text()), signal.SIGKILL)
        elif fault == "together" and self.command == "PUT":
            with self.changed:
                self.changed.wait_for(lambda: self.requests.count((self.command, self.path)) > 1, timeout=1)
        return super()._dispatch(action)

    def _control(self) -> object:
        with self.changed:
            if self.command == "PUT":
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.faults.clear()
                self.faults.update({int(number): fault for number, fault in given.items()})
                self.requests.clear()
            return self._send(200, json.dumps(self.requests).encode())

    def _end(self) -> object:
        self.close_connection = True
        return self.connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed, or a connection that a fault has ended."""


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass
