"""The port that Prometheus scrapes: `GET /metrics` returns the sums over all processes of a run.

`GET /live` and `GET /ready` are for who can ask by HTTP only, and trusts whatever certificate, as the kubelet does.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, multiprocess
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tls import TlsFiles

from .ports import PortTaken

logger = get_logger(__name__)

# How prometheus_client lays a file out: the used length, padding, then entries of length, key, padding and two doubles.
_LENGTH = struct.Struct("i")
_FIRST_ENTRY = 8
_VALUES = 16
_READY = "ridehail_ready"


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Where the metrics are served: port 0 is any free one, and without `tls_dir` it is plain text."""

    host: str
    port: int
    tls_dir: Path | None = None


class SummedMetrics(Collector):
    """Sums the files of all processes in a folder, and skips damaged ones.

    A process that is killed during a write, or a full disk, may leave a damaged file behind.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = multiprocess.MultiProcessCollector(None, path=str(folder))  # type: ignore[no-untyped-call]
        self._skipped: set[Path] = set()
        self._lock = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        """Returns the sums, and how many files were skipped since the start."""
        good: list[str] = []
        for file in sorted(self._folder.glob("*.db")):
            try:
                reason = damage(file.read_bytes())
            except FileNotFoundError:
                continue  # its process has just ended
            except OSError as error:
                reason = error.strerror or str(error)
            if reason is None:
                good.append(str(file))
            else:
                self._skip(file, reason)
        # Whether processes are ready is for `/ready` alone.
        yield from (it for it in self._files.merge(good) if it.name != _READY)  # type: ignore[no-untyped-call]
        skipped = "ridehail_metrics_files_skipped"
        yield CounterMetricFamily(skipped, "Damaged files of figures that were skipped.", value=len(self._skipped))

    def are_ready(self) -> bool:
        """Returns whether each of the processes, at least one, says that it takes calls or tasks."""
        files = [str(file) for file in self._folder.glob("gauge_livemin_*.db") if damage(file.read_bytes()) is None]
        samples = (it for metric in self._files.merge(files) for it in metric.samples)  # type: ignore[no-untyped-call]
        return any(sample.value == 1 for sample in samples if sample.name == _READY)

    def _skip(self, file: Path, reason: str) -> None:
        with self._lock:
            if file not in self._skipped:
                self._skipped.add(file)
                logger.error("a damaged file of metrics is skipped", file=str(file), reason=reason)


class ProcessFigures(Collector):
    """What the operating system says of each process: CPU, memory, open files, when it started.

    The names are those of prometheus_client's own; the label `process` tells them apart. On systems without `/proc`
    there are none.
    """

    def __init__(self, processes: Callable[[], Mapping[str, int]]) -> None:
        self._processes = processes

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for name, pid in self._processes().items():
            for family in _figures_of(pid).collect():
                merged = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    merged.add_sample(sample.name, {"process": name}, sample.value)
        return found.values()


@lru_cache(maxsize=256)
def _figures_of(pid: int) -> ProcessCollector:
    """Returns what reads the figures of a process; kept, since it makes sure only once when the machine was started."""
    return ProcessCollector(pid=lambda: pid, registry=None)


def damage(content: bytes) -> str | None:
    """Returns what is wrong with the content of a process' file, or None if nothing is."""
    try:
        (used,) = _LENGTH.unpack_from(content)
        if used and not _FIRST_ENTRY <= used <= len(content):
            return f"{used} bytes used, of {len(content)}"
        position = _FIRST_ENTRY
        while position < used:
            (length,) = _LENGTH.unpack_from(content, position)
            begin = position + _LENGTH.size
            # The key is padded so that the values after it are aligned.
            position = begin + length + (8 - (length + _LENGTH.size) % 8) + _VALUES
            if length <= 0 or position > used:
                return f"an entry of {length} bytes at {begin}"
            metric, sample, labels, _help = json.loads(content[begin : begin + length])
            if not isinstance(metric, str) or not isinstance(sample, str) or not isinstance(labels, dict):
                return f"no metric at {begin}"
    except (struct.error, ValueError, TypeError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return None


class _Handler(BaseHTTPRequestHandler):
    """Serves scrapes. Reports neither its version nor Python's."""

    server_version = "ridehail"
    sys_version = ""
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"
    # An idle or slow connection holds a thread.
    timeout = 10
    registry: CollectorRegistry
    metrics: SummedMetrics

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("accept", ""))
            self._send(200, content_type, encode(self.registry))
        elif path == "/live":
            # Processes that hang or die are the supervisor's, which is alive if it answers.
            self._send(200, self.error_content_type, b"live\n")
        elif path == "/ready":
            ready = self.metrics.are_ready()
            self._send(200 if ready else 503, self.error_content_type, b"ready\n" if ready else b"not ready\n")
        else:
            self.send_error(404)

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return self.server_version

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is BaseHTTPRequestHandler's
        """Logs nothing: strangers must not fill the log."""


class _Server(ThreadingHTTPServer):
    """Logs failures of a connection instead of printing them."""

    daemon_threads = True
    tls: TlsFiles | None = None

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Runs in the connection's own thread, so that the handshake blocks no other connection."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        assert isinstance(request, socket.socket)
        request.settimeout(_Handler.timeout)
        with self.tls.server_context().wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, _request: object, _client_address: object) -> None:
        logger.warning("a scrape failed", exc_info=sys.exception())


@contextmanager
def metrics_port(
    address: MetricsAddress, folder: Path, processes: Callable[[], Mapping[str, int]] = dict
) -> Iterator[int]:
    """Serves `/metrics` for the length of the block, and yields the port.

    Args:
        address: Where.
        folder: The files of the processes' metrics.
        processes: Returns the ids of the processes by their names.
    """
    tls = None if address.tls_dir is None else TlsFiles(address.tls_dir)
    registry, metrics = CollectorRegistry(), SummedMetrics(folder)
    registry.register(metrics)
    registry.register(ProcessFigures(processes))
    handler = type("Handler", (_Handler,), {"registry": registry, "metrics": metrics})
    try:
        server = _Server((address.host, address.port), handler)
    except OSError as error:
        raise PortTaken(f"port {address.port} on {address.host}: {error.strerror or error}") from error
    server.tls = tls
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
