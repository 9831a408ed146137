"""Servers and task workers by themselves, against a Postgres that is run elsewhere."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from ridehail_servers.chassis.settings import ProcessSettings

from . import metrics_files
from .metrics_port import MetricsAddress, metrics_port
from .ports import reserve
from .supervisor import ChildSpec, Supervisor, child


async def serve(
    role: Literal["serve", "work"],
    settings: ProcessSettings,
    *,
    workers: int,
    metrics: MetricsAddress,
    report: Callable[[str], None],
) -> None:
    """Runs servers, which share a gRPC port, or task workers until SIGINT or SIGTERM, then drains them.

    `report` gets the ready line; port 0 is any free one.
    """
    with ExitStack() as stack:
        ready = "ready"
        if role == "serve":
            port = stack.enter_context(reserve(settings.host, settings.grpc_port)).getsockname()[1]
            settings = settings.model_copy(update={"grpc_port": port})
            ready = f"ready grpc={settings.host}:{port}"
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ridehail-metrics-"))
        supervisor = Supervisor()
        scraped = stack.enter_context(metrics_port(metrics, Path(folder), supervisor.pids))
        stop = stop_on_signals()
        spec = ChildSpec(role=role, settings=settings)
        environment = {metrics_files.VARIABLE: folder}
        try:
            for number in range(1, workers + 1):
                await supervisor.start(child(f"{role}-{number}", spec, log=None, environment=environment))
            report(f"{ready} metrics={metrics.host}:{scraped}")
            await stop.wait()
        finally:
            await supervisor.stop()


def stop_on_signals() -> asyncio.Event:
    """Returns an event that SIGINT and SIGTERM set; a second signal changes nothing."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
