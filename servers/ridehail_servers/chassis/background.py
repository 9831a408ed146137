"""Work that goes on beside what is awaited: every loop of a process runs under `keep_running`.

A loop that fails is logged, counted in `ridehail_background_loop_failures_total{loop}` and started again. Which loops
fail at present: `failing_loops`. What must not survive its failures, such as a server whose event loop is lost, ends
the process instead, and whoever runs the process starts another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .logs import get_logger
from .metrics import LOOP_FAILURES

logger = get_logger(__name__)

_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 10.0
# A loop that has run this long since it was started again counts as healed.
_STEADY_S = 30.0


@dataclass(eq=False, slots=True)
class _Loop:
    name: str
    failed_at: float | None = None


_loops: set[_Loop] = set()


def failing_loops() -> list[str]:
    """Returns the names of the loops of this process that have failed in the last 30 s, each once."""
    now = time.monotonic()
    return sorted({loop.name for loop in _loops if loop.failed_at is not None and now - loop.failed_at < _STEADY_S})


def running_loops() -> list[str]:
    """Returns the names of the loops of this process, each once."""
    return sorted({loop.name for loop in _loops})


def report_failure(name: str, error: BaseException, **details: object) -> None:
    """Logs and counts a failure of background work that goes on; `details` are added to the log line."""
    LOOP_FAILURES.labels(name).inc()
    logger.error("background work failed", loop=name, exc_info=error, **details)


async def keep_running(
    name: str, work: Callable[[], Awaitable[None]], *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Runs `work` until it returns; starts it again, after a pause that grows to 10 s, whenever it raises.

    Only the cancellation of the task ends it.
    """
    LOOP_FAILURES.labels(name)  # visible at 0: of a counter that appears with its first event nobody sees that it grew
    loop = _Loop(name)
    _loops.add(loop)
    pause_s = _FIRST_PAUSE_S
    try:
        while True:
            began = time.monotonic()
            try:
                return await work()
            except (KeyboardInterrupt, SystemExit, GeneratorExit):
                raise
            except BaseException as error:  # Rust's panics are no `Exception`, and a library may cancel by itself
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                    raise
                loop.failed_at = time.monotonic()
                if loop.failed_at - began > _STEADY_S:
                    pause_s = _FIRST_PAUSE_S
                report_failure(name, error, again_in_s=pause_s)
            await pause(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)
    finally:
        _loops.discard(loop)


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancels a task and waits until it has ended, however it does."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
