"""Deletes old orders, every hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task

from .config import OrderStateConfig
from .store import OrderStateStore

BATCH = 1_000
"""Orders of one statement."""

logger = get_logger(__name__)


class Forgetting:
    """The job that deletes old orders. Any number of runs may go on at once, and may be killed.

    Attributes:
        task: Runs it every hour.
    """

    def __init__(
        self,
        database: Database,
        store: OrderStateStore,
        config: Callable[[], OrderStateConfig],
        clock: Clock,
        *,
        batch_size: int = BATCH,
    ) -> None:
        """Prepares the job.

        Args:
            database: Of order_state.
            store: Its SQL.
            config: Returns how long orders are kept, at present.
            clock: Tells how old they are.
            batch_size: Orders of one statement, at least 1.
        """
        self._database = database
        self._store = store
        self._config = config
        self._clock = clock
        self._batch_size = batch_size
        self.task = Task("order_state_forget_orders", self._run, schedule="25 * * * *")

    async def _run(self, _at: int) -> None:
        config, now = self._config(), self._clock()
        total = 0
        while True:
            async with self._database.connection() as connection:
                forgotten = await self._store.forget(
                    connection,
                    finished_before=now - timedelta(hours=config.kept_finished_h),
                    before=now - timedelta(hours=config.kept_h),
                    limit=self._batch_size,
                )
            total += forgotten
            # A batch that is not full was the last one: what others hold is left to the next run.
            if forgotten < self._batch_size:
                break
        logger.info("old orders forgotten", orders=total)
