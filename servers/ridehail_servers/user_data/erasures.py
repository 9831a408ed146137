"""Erases users' data over all services: a job of steps that can each be repeated, and survives whoever works on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Final

from ridehail_servers.chassis.logs import get_logger

from .config import UserDataConfig
from .dependencies import ServiceFailed
from .erasure import Identifiers, NextStep, WaitsFor, next_step
from .jobs import Jobs
from .metrics import ERASED
from .receipt import Job, JobKind
from .store import Subject

_RETRY: Final = timedelta(minutes=1)
_ACTIVE_ORDERS_RETRY: Final = timedelta(minutes=5)

LEASE: Final = timedelta(minutes=2)
"""Longer than any call of a service: who has a job is alive, or has been dead for so long."""

logger = get_logger(__name__)


class Erasures:
    def __init__(self, jobs: Jobs, config: Callable[[], UserDataConfig]) -> None:
        self._jobs = jobs
        self._config = config

    async def start(self, yandex_uid: str, phone_ids: Collection[str], requested_by: str) -> Subject:
        """Stores an erasure, which a worker begins within a minute, or returns the one that goes on."""
        now = self._jobs.clock()
        return await self._jobs.start(
            JobKind.ERASURE, yandex_uid, phone_ids, requested_by, next_run_at=now, waits_for=WaitsFor.WORKER
        )

    async def run(self, job: Job) -> None:
        """Goes on with an erasure until it ends or has to wait. Safe to repeat, and beside another run.

        Raises:
            DatabaseUnavailable: Of the jobs themselves; the next run goes on.
        """
        async with self._jobs.database.connection() as connection:
            subject = await self._jobs.store.subject(connection, job.job_id, JobKind.ERASURE)
        if subject is None:
            await self._jobs.end(job.job_id, JobKind.ERASURE)
            return
        try:
            known, surveys = await self._jobs.survey(subject)
        except ServiceFailed:
            await self._put_off(job, _RETRY, WaitsFor.SERVICES)
            return
        receipt = await self._jobs.receipt(job.job_id)
        owing = [service.service for service in receipt.services if service.owed]
        settle = timedelta(seconds=self._config().settle_s)
        quiet = self._jobs.clock() - (receipt.job.erased_at or receipt.job.requested_at)
        step = next_step(surveys, is_owed=bool(owing), quiet=quiet, settle=settle)
        if step is NextStep.END:
            await self._jobs.end(job.job_id, JobKind.ERASURE)
            logger.info("user erased", job=job.job_id, passes=receipt.job.passes)
        elif isinstance(step, WaitsFor):
            retry = _ACTIVE_ORDERS_RETRY if step is WaitsFor.ACTIVE_ORDERS else _RETRY
            await self._put_off(job, max(settle - quiet, timedelta()) if step is WaitsFor.SETTLING else retry, step)
        else:
            if any(survey.counts for survey in surveys.values()):
                async with self._jobs.database.transaction() as connection:
                    await self._jobs.store.begin_pass(connection, job.job_id)
                owing = list(self._jobs.services.names)
            failed = await self._erase(job, known, owing)
            await self._put_off(job, _RETRY if failed else settle, WaitsFor.SERVICES if failed else WaitsFor.SETTLING)

    async def _erase(self, job: Job, user: Identifiers, services: Collection[str]) -> bool:
        """Has services erase a user, all at once; returns whether one failed."""
        results = await asyncio.gather(
            *(self._erase_at(job, user, service) for service in services), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, ServiceFailed):
                raise result
        return any(isinstance(result, ServiceFailed) for result in results)

    async def _erase_at(self, job: Job, user: Identifiers, service: str) -> None:
        store, database = self._jobs.store, self._jobs.database
        try:
            async for erased in self._jobs.services.erase(service, user):
                async with database.transaction() as connection:
                    await store.add_erased(connection, job.job_id, service, erased)
                    await store.extend_lease(connection, job.job_id, self._jobs.clock() + LEASE)
                for kind, records in erased.items():
                    ERASED.labels(service, kind).inc(records)
        except ServiceFailed as failure:
            async with database.connection() as connection:
                await store.put_failure(connection, job.job_id, service, failure.reason)
            raise
        async with database.connection() as connection:
            await store.end_part(connection, job.job_id, service, self._jobs.clock())

    async def _put_off(self, job: Job, wait: timedelta, waits_for: WaitsFor) -> None:
        async with self._jobs.database.connection() as connection:
            await self._jobs.store.put_off(connection, job.job_id, self._jobs.clock() + wait, waits_for)
