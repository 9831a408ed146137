"""Each process of `ridehail up` hangs for half a minute and goes on: everything works again, nothing is lost."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from bench.open_loop import Events
from bench.open_loop import run as generate
from tests.support.redis_server import is_installed, redis_server

from .calls import WORKLOADS, Journal, found_in
from .outage_cases import RECOVERY_S, recovered
from .postgres import signal_tree
from .report import ChaosReport, Effort
from .suite_up import SuiteUp

PART = "freezes"

_HUNG_S = 30.0
_BEFORE_S = 1.0
_AFTER_S = 4.0
_RATE = 20.0
_TASKS_WITHIN_S = 30.0
_PROCESSES = ("serve-1", "serve-2", "authorize-1", "work-1", "envoy", "postgres")


def _found(suite: SuiteUp, name: str) -> int:
    process = suite.find(name)
    assert process is not None, name
    return int(process.pid)


def _listening(port: int) -> int:
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "redis-server" and f":{port}" in " ".join(process.info["cmdline"] or ()):
            return int(process.pid)
    raise AssertionError(f"nobody listens on {port}")


async def _frozen(suite: SuiteUp, process: int, seconds: float, folder: Path) -> tuple[Events, float, float]:
    """Hangs a process under load; returns the events, and when the hang began and ended."""
    running = asyncio.create_task(suite.load(_BEFORE_S + seconds + _AFTER_S, folder, _RATE))
    await asyncio.sleep(_BEFORE_S)
    began = time.time()
    signal_tree(process, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    signal_tree(process, signal.SIGCONT)
    healed = time.time()
    return await running, began, healed


async def _task_is_done(suite: SuiteUp, folder: Path) -> float:
    """Enqueues a background task; returns the seconds until it was done."""
    workload = WORKLOADS["toll-roads"]
    assert workload.task is not None
    numbers = suite.keys.take(1)
    stream = workload.task.stream(suite.address, suite.tickets, numbers, 1.0)
    began = time.monotonic()
    journal = Journal()
    journal.note(numbers, (await generate([stream], 0.1, folder))[stream.name])
    while time.monotonic() < began + _TASKS_WITHIN_S:
        if journal.acknowledged <= found_in(suite.database_url, workload.done).keys():
            return time.monotonic() - began
        await asyncio.sleep(0.1)
    return math.inf


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    seconds = 4.0 if effort.quick else _HUNG_S
    with ExitStack() as stack:
        redis = None
        if is_installed():
            own = folder / "redis"
            own.mkdir(mode=0o755)
            redis = stack.enter_context(redis_server(own))
        suite = SuiteUp(folder, workers=2, cache_url=redis.url if redis else "none")
        stack.callback(suite.kill_everything)
        suite.start()
        stack.callback(suite.stop)
        suite.put_orders()
        processes = {name: _found(suite, name) for name in _PROCESSES}
        if redis:
            processes["redis"] = _listening(redis.port)
        for name, process in processes.items():
            events, began, healed = await _frozen(suite, process, seconds, folder)
            back = {key: recovered(those, healed) for key, those in events.items()}
            times = [math.inf if at is None else at - healed for at in back.values()]
            task_s = await _task_is_done(suite, folder)
            failed = {
                f"{key} failed": sum(not event.is_good for event in those if began <= event.sent < healed)
                for key, those in events.items()
            }
            calls = sum(began <= event.sent < healed for event in events["read"])
            figures = {"calls of each kind": calls, **failed, "recovery s": max(times), "then a task takes s": task_s}
            report.add(
                PART,
                f"{name} hangs for {seconds:g} s",
                figures,
                promise=f"everything works within {RECOVERY_S:.0f} s, tasks within {_TASKS_WITHIN_S:.0f} s",
                kept=max(times) <= RECOVERY_S and task_s < math.inf,
            )
        judged = suite.judge()
        kept = judged["lost"] == judged["doubled"] == 0
        report.add(PART, "acknowledged writes", judged, promise="0 lost, 0 doubled", kept=kept)
