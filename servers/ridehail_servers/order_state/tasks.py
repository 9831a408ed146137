"""The background tasks of order_state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task

from .config import OrderStateConfig
from .invalid_part_store import InvalidPartStore
from .store import OrderStateStore

BATCH = 1_000
"""Orders of one statement."""

logger = get_logger(__name__)


class DeleteOldOrders:
    """Deletes old orders, every hour. Any number of runs may go on at once, and may be killed."""

    def __init__(
        self,
        database: Database,
        store: OrderStateStore,
        config: Callable[[], OrderStateConfig],
        clock: Clock,
        *,
        batch_size: int = BATCH,
    ) -> None:
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
                deleted = await self._store.delete_old(
                    connection,
                    finished_before=now - timedelta(hours=config.kept_finished_h),
                    before=now - timedelta(hours=config.kept_h),
                    limit=self._batch_size,
                )
            total += deleted
            # A batch that is not full was the last one: what others hold is left to the next run.
            if deleted < self._batch_size:
                break
        logger.info("old orders forgotten", orders=total)


class DeleteOldInvalidParts:
    """Deletes old counts and samples of invalid parts, every hour; there are never many."""

    def __init__(
        self, database: Database, store: InvalidPartStore, config: Callable[[], OrderStateConfig], clock: Clock
    ) -> None:
        self._database = database
        self._store = store
        self._config = config
        self._clock = clock
        self.task = Task("order_state_forget_invalid_parts", self._run, schedule="35 * * * *")

    async def _run(self, _at: int) -> None:
        before = self._clock() - timedelta(days=self._config().invalid_parts.kept_days)
        async with self._database.connection() as connection:
            counts = await self._store.delete_old_counts(connection, before)
            samples = await self._store.delete_old_samples(connection, before)
        logger.info("old invalid parts forgotten", counts=counts, samples=samples)
