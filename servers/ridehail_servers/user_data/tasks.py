"""The background task of user_data: goes on with jobs that are due, every minute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ridehail_servers.chassis.tasks import Task

from .config import UserDataConfig
from .erasures import LEASE, Erasures
from .exports import Exports
from .jobs import Jobs
from .metrics import JOBS_ENDED, JOBS_OLDEST, JOBS_OPEN
from .receipt import JobKind

TASK: Final = "user_data_jobs"
BATCH: Final = 500
"""Receipts that one statement deletes."""


class RunJobs:
    """Runs what is due. Any number of workers may; each takes other jobs, and one that dies leaves its to the next."""

    def __init__(self, jobs: Jobs, erasures: Erasures, exports: Exports, config: Callable[[], UserDataConfig]) -> None:
        self._jobs = jobs
        self._erasures = erasures
        self._exports = exports
        self._config = config
        self.task = Task(TASK, self.run, schedule="* * * * *")
        # Of what appears with its first event nobody sees that it grew.
        for kind in JobKind:
            JOBS_OPEN.labels(kind)
            JOBS_OLDEST.labels(kind)
            for result in ("done", "given_up"):
                JOBS_ENDED.labels(kind, result)

    async def run(self, _at: int) -> None:
        while True:
            now = self._jobs.clock()
            async with self._jobs.database.transaction() as connection:
                job = await self._jobs.store.claim_due(connection, now, now + LEASE)
            if job is None:
                break
            if job.kind == JobKind.EXPORT:
                await self._exports.give_up(job.job_id)
            else:
                await self._erasures.run(job)
        await self._delete_old()
        await self._report()

    async def _delete_old(self) -> None:
        before = self._jobs.clock() - timedelta(days=self._config().receipts_kept_days)
        deleted = BATCH
        while deleted == BATCH:
            async with self._jobs.database.transaction() as connection:
                deleted = await self._jobs.store.delete_old(connection, before, BATCH)

    async def _report(self) -> None:
        async with self._jobs.database.connection() as connection:
            found = await self._jobs.store.open_jobs(connection)
        now = self._jobs.clock()
        for kind in JobKind:
            number, oldest = found.get(kind, (0, now))
            JOBS_OPEN.labels(kind).set(number)
            JOBS_OLDEST.labels(kind).set((now - oldest).total_seconds())
