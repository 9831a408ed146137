"""`ridehail up` is killed with signal 9 again and again, and started again at once."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from bench.open_loop import quantile

from .report import ChaosReport, Effort
from .suite_up import SuiteUp

PART = "kill_loop"

_KILLS = 10
_SEED = 7
_RATE = 20.0
_GONE_WITHIN_S = 30.0


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    chance, kills = random.Random(_SEED), 2 if effort.quick else _KILLS
    starts: list[float] = []
    with ExitStack() as stack:
        suite = SuiteUp(folder)
        stack.callback(suite.kill_everything)
        suite.start()
        for _ in range(kills):
            await suite.load(0.5 + chance.random(), folder, _RATE)
            assert suite.process is not None
            running = asyncio.create_task(suite.load(1.0, folder, _RATE))
            await asyncio.sleep(0.7)
            suite.process.kill()
            suite.process.wait()
            await running
            await asyncio.sleep(chance.choice((0.0, 0.3, 2.0)))
            starts.append(suite.start())
        await suite.load(1.0, folder, _RATE)
        judged = suite.judge()
        code = suite.stop()
        left = await _left_over(suite)
    report.add(
        PART,
        f"{kills} kills of `ridehail up`",
        {"start p50 s": quantile(starts, 0.5), "max s": max(starts), "exit code": code, "left over": left, **judged},
        promise="starts again each time, nothing left over, 0 acknowledged writes lost or doubled",
        kept=code == 0 and not left and judged["lost"] == judged["doubled"] == 0,
    )


async def _left_over(suite: SuiteUp) -> int:
    """Returns how many processes are still there half a minute after the end."""
    ends = time.monotonic() + _GONE_WITHIN_S
    while (left := len([it for it in suite.everything() if psutil.pid_exists(it.pid)])) and time.monotonic() < ends:
        await asyncio.sleep(0.2)
    return left
