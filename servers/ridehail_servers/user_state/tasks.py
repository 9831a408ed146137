"""The background task of user_state: deletes what is old, every day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.purging import Delete, delete_in_batches
from ridehail_servers.chassis.tasks import Task

from .config import UserStateConfig
from .retention_store import RetentionStore

BATCH: Final = 1_000
"""Rows of one transaction."""

logger = get_logger(__name__)


class DeleteOldStates:
    """Deletes states of users who are gone, and old mismatches. Any number of runs may go on at once, and be killed."""

    def __init__(
        self,
        database: Database,
        store: RetentionStore,
        config: Callable[[], UserStateConfig],
        clock: Clock,
        *,
        batch: int = BATCH,
    ) -> None:
        self._database = database
        self._store = store
        self._config = config
        self._clock = clock
        self._batch = batch
        self.task = Task("user_state_purge", self.run, schedule="40 3 * * *")

    async def run(self, _at: int) -> None:
        config = self._config()
        mismatches = await self._delete(self._store.delete_mismatches, config.mismatches_kept_days)
        states = 0
        if config.states_kept_days:
            states = await self._delete(self._store.delete_states, config.states_kept_days)
        logger.info("old personal states purged", states=states, mismatches=mismatches)

    async def _delete(self, delete: Delete, kept_days: int) -> int:
        before = self._clock() - timedelta(days=kept_days)
        return await delete_in_batches(self._database, delete, before, self._batch)
