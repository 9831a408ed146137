"""The task that marks riders, with each step counted by a crash injector."""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.tasks import TaskQueue
from ridehail_servers.eulas.admin.resign_store import ResignStore
from ridehail_servers.eulas.admin.tasks import ResignTask
from tests.support.crash_injector import CrashInjector


async def run_mark(
    database_url: str, version: int, now: datetime, batch_size: int, crash_after: int | None = None
) -> CrashInjector:
    """Does the run of a change; dies after a step, if one is given."""
    injector = CrashInjector(crash_after)
    async with injector.database(database_url, "eulas") as database:
        task = ResignTask(
            database,
            injector.wrap(ResignStore()),
            TaskQueue("eulas", database),
            lambda: now,
            lambda: BatchThrottle(batch_size, 0),
        )
        await task.run(version)
    return injector
