"""What exports and erasures have in common: their start, their search, their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .dependencies import DataServices
from .erasure import Identifiers, ServiceSurvey, WaitsFor, widened
from .errors import JobNotFound
from .metrics import JOBS_ENDED
from .receipt import Job, JobKind, Receipt, new_key, pseudonym
from .store import JobStore, Subject


class Jobs:
    def __init__(
        self, database: Database, store: JobStore, services: DataServices, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self.database = database
        self.store = store
        self.services = services
        self.clock = clock
        self._new_id = new_id

    async def start(
        self,
        kind: JobKind,
        yandex_uid: str,
        phone_ids: Collection[str],
        requested_by: str,
        *,
        next_run_at: datetime,
        waits_for: WaitsFor | None,
    ) -> Subject:
        """Stores a job, or returns that of the same user and kind that goes on, with the phones added."""
        key = new_key()
        subject = Subject(self._new_id(), yandex_uid, key, sorted(phone_ids), [])
        job = Job(
            job_id=subject.job_id,
            kind=kind,
            pseudonym=pseudonym(key, yandex_uid),
            requested_by=requested_by,
            passes=0,
            waits_for=waits_for,
            requested_at=self.clock(),
            erased_at=None,
            ended_at=None,
            given_up=False,
        )
        while True:
            async with self.database.transaction() as connection:
                known = await self.store.add_phones(connection, yandex_uid, kind, phone_ids)
            if known is not None:
                return known
            # The subject refers to its job, so that is stored first, and undone if another job was quicker.
            async with self.database.transaction() as connection:
                await self.store.insert_job(connection, job, next_run_at)
                if await self.store.insert_subject(connection, subject, kind):
                    await self.store.insert_services(connection, job.job_id, self.services.names)
                    return subject
                await self.store.delete_job(connection, job.job_id)

    async def receipt(self, job_id: str) -> Receipt:
        """Returns a job and what each service did.

        Raises:
            JobNotFound: There is no such job.
        """
        async with self.database.connection() as connection:
            job = await self.store.job(connection, job_id)
            if job is None:
                raise JobNotFound(job_id)
            return Receipt(job, await self.store.services(connection, job_id))

    async def survey(self, subject: Subject) -> tuple[Identifiers, Mapping[str, ServiceSurvey]]:
        """Searches all services for a user, by all that any of them knows the user by; stores what it found.

        Raises:
            ServiceFailed: A service does not respond; which is stored.
        """
        known = Identifiers(subject.yandex_uid, frozenset(subject.phone_ids), frozenset(subject.order_ids))
        while True:
            names = self.services.names
            results = await asyncio.gather(
                *(self.services.survey(name, known) for name in names), return_exceptions=True
            )
            surveys: dict[str, ServiceSurvey] = {}
            failures: dict[str, BaseException] = {}
            for name, result in zip(names, results, strict=True):
                if isinstance(result, BaseException):
                    failures[name] = result
                else:
                    surveys[name] = result
            await self._note(subject.job_id, surveys, failures)
            for failure in failures.values():
                raise failure
            found = widened(known, surveys)
            if found == known:
                return known, surveys
            known = found
            # Before anything is erased: by then nobody else may know them.
            async with self.database.connection() as connection:
                await self.store.add_identifiers(connection, subject.job_id, known.phone_ids, known.order_ids)

    async def end(self, job_id: str, kind: JobKind, *, given_up: bool = False) -> None:
        """Ends a job, and deletes what is known of its user; nothing happens to one that has ended."""
        async with self.database.transaction() as connection:
            ended = await self.store.end_job(connection, job_id, self.clock(), given_up=given_up)
        if ended:
            JOBS_ENDED.labels(kind, "given_up" if given_up else "done").inc()

    async def _note(
        self, job_id: str, surveys: Mapping[str, ServiceSurvey], failures: Mapping[str, BaseException]
    ) -> None:
        async with self.database.transaction() as connection:
            for name, survey in surveys.items():
                await self.store.put_found(connection, job_id, name, survey.counts)
                await self.store.put_failure(connection, job_id, name, None)
            for name, failure in failures.items():
                await self.store.put_failure(connection, job_id, name, getattr(failure, "reason", "UNEXPECTED"))
