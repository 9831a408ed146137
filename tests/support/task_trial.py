"""Tasks that a test defines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import DatabaseUnavailable
from ridehail_servers.chassis.settings import PoolSettings, TaskSettings
from ridehail_servers.chassis.tasks import Task, TaskQueue
from tests.support.waiting import LIMIT_S

NAME = "trial"
# Workers that react fast.
FAST_WORKER = {"heartbeat_s": 0.3, "stalled_after_s": 3, "rescue_interval_s": 0.3, "drain_s": 5}


@dataclass
class Trial:
    """A task that a test defines, in the queue of toll_roads."""

    queue: TaskQueue
    database: Database
    runs: list[int] = field(default_factory=list)

    async def enqueue(self, subject: int) -> None:
        async with self.database.transaction() as connection:
            await self.queue.enqueue(connection, NAME, subject)

    async def jobs(self) -> list[tuple[object, ...]]:
        async with self.database.connection() as connection:
            cursor = await connection.execute("SELECT status::text, attempts FROM procrastinate_jobs ORDER BY id")
            return await cursor.fetchall()

    async def no_job_is_left(self) -> bool:
        try:
            return not await self.jobs()
        except DatabaseUnavailable:  # as long as Postgres is away, and a moment longer
            return False

    @asynccontextmanager
    async def worker(self, run: Callable[[int], Awaitable[None]], **settings: float) -> AsyncIterator[asyncio.Event]:
        """Runs a worker for the length of the block; the event stops it earlier."""

        async def noted(subject: int) -> None:
            self.runs.append(subject)
            await run(subject)

        stop = asyncio.Event()
        tuned = TaskSettings.model_validate(FAST_WORKER | settings)
        worker = asyncio.create_task(self.queue.run_worker([Task(NAME, noted)], tuned, stop=stop))
        try:
            yield stop
        finally:
            stop.set()
            await asyncio.wait_for(worker, LIMIT_S)


@asynccontextmanager
async def trial_at(url: str) -> AsyncIterator[Trial]:
    database = Database(url, schema="toll_roads", settings=PoolSettings(), application="toll-roads")
    await database.open()
    try:
        yield Trial(TaskQueue("toll-roads", database), database)
    finally:
        await database.close()
