"""The background tasks of decisions: purge those that have long expired, and name users in the log by pseudonyms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task

from .log_store import LogStore
from .purge_job import PurgeJob
from .store import EulasStore

BATCH: Final = 1_000
"""Entries of one transaction."""

logger = get_logger(__name__)


class PurgeDecisions:
    """Runs the purge of `ridehail eulas purge`, every night."""

    def __init__(self, database: Database, kept_days: Callable[[], int], clock: Clock) -> None:
        self._job = PurgeJob(database, EulasStore())
        self._kept_days = kept_days
        self._clock = clock
        self.task = Task("eulas_purge", self.run, schedule="10 3 * * *")

    async def run(self, _at: int) -> None:
        if not self._kept_days():
            return
        before = self._clock() - timedelta(days=self._kept_days())
        deleted = await self._job.run(before, lambda _rows: None)
        logger.info("expired decisions purged", decisions=deleted)


class PseudonymizeLog:
    """Gives entries of earlier releases the pseudonyms of their users, in batches; a repeat finds nothing."""

    def __init__(self, database: Database, store: LogStore, *, batch: int = BATCH) -> None:
        self._database = database
        self._store = store
        self._batch = batch
        self.task = Task("eulas_pseudonymize_log", self.run, schedule="20 * * * *")

    async def run(self, _at: int) -> None:
        done, rows = 0, self._batch
        while rows:
            async with self._database.transaction() as connection:
                rows = await self._store.pseudonymize(connection, self._batch)
            done += rows
        if done:
            logger.info("log of decisions pseudonymized", entries=done)
