"""The task `eulas_mark_resign`: marks those who have to decide again after a change of an agreement.

Each batch is a transaction that marks decisions and says how far the run is. So a run that is killed goes on where it
was, and one that two workers do at once is done once.
"""

from __future__ import annotations

from collections.abc import Callable

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task, TaskQueue
from ridehail_servers.eulas.metrics import RIDERS_MARKED

from .resign_store import ResignStore

TASK = "eulas_mark_resign"

logger = get_logger(__name__)


class ResignTask:
    def __init__(
        self,
        database: Database,
        store: ResignStore,
        queue: TaskQueue,
        clock: Clock,
        throttle: Callable[[], BatchThrottle],
    ) -> None:
        self._database = database
        self._store = store
        self._queue = queue
        self._clock = clock
        self._throttle = throttle  # as it is configured now
        self.task = Task(TASK, self.run)

    async def enqueue(self, connection: Connection, version: int) -> None:
        """Enqueues the run of a change, in the transaction of a connection."""
        await self._queue.enqueue(connection, TASK, version)

    async def run(self, version: int) -> None:
        """Does what is left of the run of a change."""
        is_done = False
        while not is_done:
            throttle = self._throttle()
            async with throttle.batch():
                is_done = await self.mark_batch(version, throttle.batch_size)

    async def mark_batch(self, version: int, size: int) -> bool:
        """Marks a batch of the run of a change; returns whether the run is done."""
        async with self._database.transaction() as connection:
            locked = await self._store.lock_run(connection, version)
            if locked is None:
                return True
            run, after_user = locked
            now = self._clock()
            batch = await self._store.mark_batch(connection, run, after_user, size, now)
            is_done = batch.checked < size
            await self._store.save_progress(connection, version, batch, now, is_done=is_done)
        RIDERS_MARKED.inc(batch.marked)
        if is_done:
            logger.info("riders marked who have to decide again", eula_id=run.eula_id, marked=run.marked + batch.marked)
        return is_done
