"""Kills with signal 9 whatever keeps or moves data, one after the other."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from ridehail_servers import cli
from tests.crash.journal import Journal
from tests.support import processes
from tests.support.up import RunningCommand
from tests.support.waiting import until

VICTIMS = ("server", "worker", "postgres", "job")
JOBS = ("archive", "purge-orders", "archive", "purge-offers")
# The share of kills that wait for this many more orders.
_AFTER_RECOVERY = 0.75
_ORDERS_BETWEEN_KILLS = 2
_BETWEEN_JOBS_S = 0.4


class Killer:
    """Kills server, task worker, Postgres and the retention jobs, which it also keeps running."""

    def __init__(self, suite: RunningCommand, journal: Journal, random_numbers: random.Random) -> None:
        self._suite = suite
        self._journal = journal
        self._random = random_numbers
        self._job: BaseProcess | None = None

    async def kill(self, times: int) -> None:
        """Kills that many times, each victim at least once; mostly after everything has recovered, sometimes before."""
        more = self._random.choices(VICTIMS, k=max(0, times - len(VICTIMS)))
        victims = self._random.sample((*VICTIMS, *more), k=times)
        for victim in victims:
            if self._random.random() < _AFTER_RECOVERY:
                await self._progress()
            await asyncio.sleep(self._random.uniform(0.0, 1.5))
            if victim == "job":
                await until(lambda: self._job is not None)
            if (number := self._pid(victim)) is not None:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(number, signal.SIGKILL)
                    self._journal.count_kill(victim)

    async def _progress(self) -> None:
        """Waits until more orders are under way, which takes that others have been acknowledged."""
        enough = len(self._journal.orders) + _ORDERS_BETWEEN_KILLS
        await until(lambda: len(self._journal.orders) >= enough)

    async def keep_jobs_running(self, stop: asyncio.Event) -> None:
        """Runs one retention job after another, whatever their results."""
        while not stop.is_set():
            self._job = self.start_job(self._random.choice(JOBS))
            await asyncio.to_thread(self._job.join)
            self._job = None
            await asyncio.sleep(self._random.uniform(0.0, _BETWEEN_JOBS_S))

    def start_job(self, name: str) -> BaseProcess:
        """Starts a retention job as by hand, with small batches, so that it can be killed between many steps.

        It has nothing to import, which would take most of its time: it dies at its work.
        """
        words = ("toll-roads", name, "--data-dir", str(self._suite.data_dir), "--batch-size", "7")
        return processes.start(_run_quietly, *words)

    def _pid(self, victim: str) -> int | None:
        if victim == "postgres":
            return _postmaster(self._suite.data_dir)
        if victim == "job":
            return None if self._job is None else self._job.pid
        role = {"server": "serve-1", "worker": "work-1"}[victim]
        for process in self._suite.descendants():
            try:
                if role in process.cmdline():
                    return int(process.pid)
            except psutil.Error:
                continue  # it has just ended
        return None


def _run_quietly(*words: str) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    cli.main(words)


def _postmaster(data_dir: Path) -> int | None:
    try:
        number = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None  # it has just been killed
    return number if psutil.pid_exists(number) else None
