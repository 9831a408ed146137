"""The port that Prometheus scrapes: the sum of what all processes of a run have counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, multiprocess, start_http_server

from .ports import PortTaken


@contextmanager
def metrics_port(host: str, port: int, folder: Path) -> Iterator[int]:
    """Serves `/metrics` for the length of the block.

    Args:
        host: The address to bind.
        port: The port; 0: any free one.
        folder: Where the processes write their figures.

    Returns:
        The port.

    Raises:
        PortTaken: Somebody else has it.
    """
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(port, host, registry=registry)
    except OSError as error:
        raise PortTaken(f"port {port} on {host}: {error.strerror}") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
