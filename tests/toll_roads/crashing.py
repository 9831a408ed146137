"""The retention jobs, with each step counted by a crash injector."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.process import BaseProcess
from typing import Any

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.toll_roads.config import RetentionConfig
from ridehail_servers.toll_roads.retention.archive import open_archive_table
from ridehail_servers.toll_roads.retention.archive_job import ArchiveJob
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.job import cutoffs
from ridehail_servers.toll_roads.retention.purge_jobs import OfferPurgeJob, OrderPurgeJob
from ridehail_servers.toll_roads.retention.purge_store import PurgeStore
from tests.support import processes
from tests.support.crash_injector import CrashInjector

JOBS = ("archive", "purge_offers", "purge_orders")


@dataclass(frozen=True)
class Job:
    """A job, and where and when it runs.

    Attributes:
        name: One of `JOBS`.
        database_url: Of toll_roads.
        archive_url: Of the archive.
        now: What the job takes for the present.
        batch_size: Rows of a batch.
        environment: What is added to its environment.
    """

    name: str
    database_url: str
    archive_url: str
    now: datetime
    batch_size: int
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self, *, crash_after: int | None = None) -> BaseProcess:
        """Runs it in a process of its own, which may die after a step."""
        return processes.start(_run, self, crash_after)

    async def trace(self) -> list[str]:
        """Runs it here; returns its steps."""
        return (await _run(self, None)).names


async def _run(job: Job, crash_after: int | None) -> CrashInjector:
    injector = CrashInjector(crash_after)
    os.environ.update(job.environment)

    def open_table(url: str, table: Any) -> Any:
        return injector.wrap((_quick_yt if url.startswith("yt:") else open_archive_table)(url, table))

    async with injector.database(job.database_url, "toll_roads") as database:
        purge_store, archive_store = injector.wrap(PurgeStore()), injector.wrap(ArchiveStore())
        parts: dict[str, Any] = {
            "archive": ArchiveJob(database, archive_store, job.archive_url, lambda: job.now, open_table=open_table),
            "purge_offers": OfferPurgeJob(database, purge_store),
            "purge_orders": OrderPurgeJob(database, purge_store),
        }
        throttle = BatchThrottle(job.batch_size, rest_factor=0)
        await parts[job.name].run(cutoffs(RetentionConfig(), job.now), throttle, lambda _done: injector.step("report"))
    return injector


def _quick_yt(url: str, table: Any) -> Any:
    from ridehail_servers.toll_roads.retention.yt_archive import YtArchiveTable
    from tests.toll_roads.yt_harness import QUICK

    return YtArchiveTable(url, table, timeouts=QUICK)
