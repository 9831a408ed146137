"""The disk of `ridehail up` fills up, and is cleared again.

The data directory is on a small file system in memory, which only root can mount; otherwise the part is skipped.
"""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from .outage_cases import recovered
from .report import ChaosReport, Effort
from .suite_up import SuiteUp

PART = "disk_full"
RECOVERY_S = 10.0
"""Postgres may have ended itself for want of space, and then has to be started again."""

_SIZE = "400m"
_FULL_S = 8.0
_AFTER_S = 14.0
_RATE = 30.0


def _fill(folder: Path) -> Path:
    file = folder / "filler"
    with file.open("wb") as output:
        try:
            while True:
                output.write(b"\0" * 65536)
                output.flush()
        except OSError:
            return file


def _mount(folder: Path) -> bool:
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=755", "tmpfs", str(folder)]
    return subprocess.run(command, check=False).returncode == 0


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    small = folder / "small"
    small.mkdir(mode=0o755)
    mounted = await asyncio.to_thread(_mount, small)
    if not mounted:
        report.add(PART, "the disk of `ridehail up` is full", {}, note="skipped: a small file system needs root")
        return
    full_s = 4.0 if effort.quick else _FULL_S
    with ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", "--lazy", str(small)], check=False)
        suite = SuiteUp(small)
        stack.callback(suite.kill_everything)
        suite.start()
        suite.put_orders()
        running = asyncio.create_task(suite.load(1.0 + full_s + _AFTER_S, folder, _RATE))
        await asyncio.sleep(1.0)
        filler = await asyncio.to_thread(_fill, small)
        began = time.time()
        await asyncio.sleep(full_s)
        filler.unlink()
        healed = time.time()
        events = await running
        times = {name: recovered(those, healed) for name, those in events.items()}
        longest = max(math.inf if at is None else at - healed for at in times.values())
        failed = sum(not event.is_good for event in events["write"] if began <= event.sent < healed)
        judged = suite.judge()
        named = _names_the_cause(suite)
        code = suite.stop()
    report.add(
        PART,
        f"the disk of `ridehail up` is full for {full_s:g} s",
        {"writes failed": failed, "recovery s": longest, "log names the cause": named, "exit code": code, **judged},
        promise=f"back within {RECOVERY_S:.0f} s of space, the cause in the log, 0 acknowledged writes lost or doubled",
        kept=longest <= RECOVERY_S and named and code == 0 and judged["lost"] == judged["doubled"] == 0,
    )


def _names_the_cause(suite: SuiteUp) -> bool:
    """Returns whether a log says that the disk was full."""
    files = [suite.log, *(suite.data_dir / "logs").glob("*.log"), suite.data_dir / "postgres" / "log"]
    return any(_says_so(file) for file in files if file.exists())


def _says_so(file: Path) -> bool:
    content = file.read_text(errors="replace").lower()
    return "no space left" in content or "disk full" in content or "disk_full" in content
