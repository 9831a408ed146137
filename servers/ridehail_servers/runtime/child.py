"""A server or worker process, as its parent starts it: `python -m ridehail_servers.runtime.child NAME`.

The parent writes one line of JSON to standard input and keeps it open: its end means that the parent is gone, so no
process outlives it. The child prints `ready PORT` once it serves, or `error` and lines as JSON before it gives up.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import signal
import sys
import threading
from contextlib import suppress

import uvloop

from ridehail_servers import suite
from ridehail_servers.chassis import app, build, logs
from ridehail_servers.chassis.background import cancelled, keep_running
from ridehail_servers.chassis.errors import is_explained
from ridehail_servers.chassis.health import Health, ends_when_stuck
from ridehail_servers.chassis.metrics import BUILD_INFO, PROCESSES
from ridehail_servers.chassis.problems import lines_of
from ridehail_servers.chassis.settings import ProcessSettings, ServerTuning
from ridehail_servers.chassis.transport import chosen_transport

from . import metrics_files
from .supervisor import LOG_VARIABLE, ChildSpec

# Objects more than were freed, until the garbage collector looks at them: Python begins with 700.
ALLOCATIONS = 10_000


async def run(spec: ChildSpec, stop: asyncio.Event) -> None:
    """Runs a server or a task worker until `stop` is set, then drains."""
    definitions = [suite.SERVICES[name] for name in spec.settings.services]
    async with app.build(definitions, spec.settings) as built:
        # What is there by now stays, and calls leave little that only the garbage collector frees: it may come rarely.
        gc.freeze()
        gc.set_threshold(ALLOCATIONS)
        _show_processes(spec, built.tuning)
        with ends_when_stuck(built.tuning.loop_stuck_s):
            await (_serve(built, spec.settings, stop) if spec.role == "serve" else _work(built, stop))


def _show_processes(spec: ChildSpec, tuning: ServerTuning) -> None:
    """Shows what this process runs: alerts miss a service that no process does."""
    for service in spec.settings.services:
        PROCESSES.labels(service, spec.role).set(1)
    transport = chosen_transport(tuning, tls=spec.settings.tls_dir is not None) if spec.role == "serve" else ""
    BUILD_INFO.labels(build.version(), build.commit(), platform.python_version(), transport).set(1)


async def _serve(built: app.Built, settings: ProcessSettings, stop: asyncio.Event) -> None:
    server = app.Server(built, settings)
    _say(f"ready {await server.start()}")
    await stop.wait()
    await server.drain()


async def _work(built: app.Built, stop: asyncio.Event) -> None:
    workers = [
        built.storages[definition.name].queue.run_worker(service.tasks, built.tuning.tasks, stop=stop)
        for definition, service in built.services
        if service.tasks
    ]
    databases = {name: [storage.database] for name, storage in built.storages.items()}
    health = Health(databases, away_s=built.tuning.database_away_s)
    health.start()
    watched = asyncio.create_task(keep_running("health", health.watch))
    _say("ready 0")
    try:
        await asyncio.gather(stop.wait(), *workers)
    finally:
        await cancelled(watched)


def main() -> int:
    """Reads the spec from standard input and runs it.

    Returns:
        The exit code: 0 after an orderly end, 1 if the process could not start.
    """
    spec = ChildSpec.model_validate_json(sys.stdin.readline())
    descriptor = int(os.environ.get(LOG_VARIABLE, sys.stderr.fileno()))
    name = build.service_name(spec.settings.services)
    logs.configure(service=name, process=sys.argv[1], level=spec.settings.log_level, stream=logs.LogFile(descriptor))
    logs.take_over_process()
    logger = logs.get_logger(__name__)

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        threading.Thread(target=_wait_for_parent, args=(loop, stop), daemon=True).start()
        await run(spec, stop)

    try:
        metrics_files.reserve()
        uvloop.run(supervised())
    except Exception as error:
        if not (is_explained(error) or isinstance(error, RuntimeError)):
            raise
        logger.error("cannot start", error=str(error), exc_info=error)
        _say("error " + json.dumps(_all_that_is_wrong(error, spec)))
        return 1
    return 0


def _all_that_is_wrong(error: Exception, spec: ChildSpec) -> list[str]:
    """Returns what an error says, and what else would keep the process from starting."""
    from .preflight import problems  # noqa: PLC0415 - a process that starts does without

    definitions = [suite.SERVICES[name] for name in spec.settings.services]
    return list(dict.fromkeys([*lines_of(error), *problems(definitions, spec.settings, spec.role)]))


def _wait_for_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    try:
        # Not by `sys.stdin`: its lock, held by this thread at the end of the process, would abort it.
        while os.read(0, 4096):
            pass
    finally:
        with suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(stop.set)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
