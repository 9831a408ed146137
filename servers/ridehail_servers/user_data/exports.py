"""Exports users' data: whoever asked reads it page by page, and ends the export."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from ridehail_clients import UserRecords
from ridehail_servers.chassis.errors import DependencyUnavailable

from .dependencies import ServiceFailed
from .erasure import Identifiers
from .errors import JobNotFound, NoSuchService
from .jobs import Jobs
from .receipt import JobKind
from .store import Subject

_GIVEN_UP_AFTER: Final = timedelta(days=1)


class Exports:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def start(self, yandex_uid: str, phone_ids: Collection[str], requested_by: str) -> Subject:
        """Stores an export, or returns the one that goes on, after all services were searched.

        Raises:
            DependencyUnavailable: A service does not respond; a repeat goes on.
        """
        given_up_at = self._jobs.clock() + _GIVEN_UP_AFTER
        subject = await self._jobs.start(
            JobKind.EXPORT, yandex_uid, phone_ids, requested_by, next_run_at=given_up_at, waits_for=None
        )
        try:
            await self._jobs.survey(subject)
        except ServiceFailed as failure:
            raise DependencyUnavailable(failure.service) from failure
        return subject

    async def read(self, job_id: str, service: str, page_token: str) -> UserRecords:
        """Returns a page of what a service has of the user of an export.

        Raises:
            JobNotFound: There is no such export, or it has ended.
            NoSuchService: See the class.
            BadPageToken: The token is none of the service.
            DependencyUnavailable: The service does not respond.
        """
        async with self._jobs.database.connection() as connection:
            subject = await self._jobs.store.subject(connection, job_id, JobKind.EXPORT)
        if subject is None:
            raise JobNotFound(job_id)
        if service not in self._jobs.services.names:
            raise NoSuchService
        user = Identifiers(subject.yandex_uid, frozenset(subject.phone_ids), frozenset(subject.order_ids))
        page = await self._jobs.services.page(service, user, page_token)
        if not page.next_page_token:
            async with self._jobs.database.connection() as connection:
                await self._jobs.store.end_part(connection, job_id, service, self._jobs.clock())
        return page

    async def finish(self, job_id: str) -> None:
        """Ends an export; nothing happens if it has ended.

        Raises:
            JobNotFound: There is no such export.
        """
        receipt = await self._jobs.receipt(job_id)
        if receipt.job.kind != JobKind.EXPORT:
            raise JobNotFound(job_id)
        await self._jobs.end(job_id, JobKind.EXPORT)

    async def give_up(self, job_id: str) -> None:
        """Ends an export that nobody has finished."""
        await self._jobs.end(job_id, JobKind.EXPORT, given_up=True)
