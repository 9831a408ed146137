"""Servers and task workers by themselves, against a Postgres that is run elsewhere."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ridehail_servers.chassis.settings import ProcessSettings

from . import metrics_files
from .metrics_port import MetricsAddress, metrics_port
from .ports import reserve
from .supervisor import ChildSpec, Supervisor, child


async def serve(
    settings: ProcessSettings, *, workers: int, metrics: MetricsAddress, report: Callable[[str], None]
) -> None:
    """Serves until SIGINT or SIGTERM, then drains.

    Args:
        settings: Of each process; its port 0 means any free one.
        workers: How many processes share the port.
        metrics: Where the metrics are served.
        report: Gets the ready line.

    Raises:
        PortTaken: A port is not free.
        StartFailed: A process did not come up.
    """
    with ExitStack() as stack:
        port = stack.enter_context(reserve(settings.host, settings.grpc_port)).getsockname()[1]
        bound = settings.model_copy(update={"grpc_port": port})
        await _run(
            stack,
            "serve",
            bound,
            workers=workers,
            metrics=metrics,
            report=lambda at: report(f"ready grpc={bound.host}:{port} {at}"),
        )


async def work(
    settings: ProcessSettings, *, workers: int, metrics: MetricsAddress, report: Callable[[str], None]
) -> None:
    """Runs background tasks until SIGINT or SIGTERM, then finishes those under way.

    Args:
        settings: Of each process.
        workers: How many processes.
        metrics: Where the metrics are served.
        report: Gets the ready line.

    Raises:
        PortTaken: The port is not free.
        StartFailed: A process did not come up.
    """
    with ExitStack() as stack:
        await _run(stack, "work", settings, workers=workers, metrics=metrics, report=lambda at: report(f"ready {at}"))


async def _run(
    stack: ExitStack,
    role: str,
    settings: ProcessSettings,
    *,
    workers: int,
    metrics: MetricsAddress,
    report: Callable[[str], None],
) -> None:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ridehail-metrics-"))
    at = stack.enter_context(metrics_port(metrics, Path(folder)))
    stop = stop_on_signals()
    supervisor = Supervisor()
    spec = ChildSpec.model_validate({"role": role, "settings": settings})
    try:
        for number in range(1, workers + 1):
            name = f"{role}-{number}"
            await supervisor.start(child(name, spec, log=None, environment={metrics_files.VARIABLE: folder}))
        report(f"metrics={metrics.host}:{at}")
        await stop.wait()
    finally:
        await supervisor.stop()


def stop_on_signals() -> asyncio.Event:
    """Returns an event that SIGINT and SIGTERM set; a second signal changes nothing."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
