"""The SQL of user_data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from ridehail_servers.chassis.database import Connection

from .receipt import Job, JobKind, ServiceReceipt


@dataclass(frozen=True, slots=True)
class Subject:
    """The user of an open job."""

    job_id: str
    yandex_uid: str
    receipt_key: str
    phone_ids: list[str]
    order_ids: list[str]


class JobStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def insert_job(self, connection: Connection, job: Job, next_run_at: datetime) -> None:
        await connection.execute(
            """
            INSERT INTO user_data.jobs
                (job_id, kind, pseudonym, requested_by, waits_for, requested_at, next_run_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s)
            """,
            (job.job_id, job.kind, job.pseudonym, job.requested_by, job.waits_for, job.requested_at, next_run_at),
        )

    async def delete_job(self, connection: Connection, job_id: str) -> None:
        await connection.execute("DELETE FROM user_data.jobs WHERE job_id = %s", (job_id,))

    async def insert_subject(self, connection: Connection, subject: Subject, kind: JobKind) -> bool:
        """Stores the user of a job, or returns False if another job of that kind is open for the user."""
        cursor = await connection.execute(
            """
            INSERT INTO user_data.subjects (job_id, kind, yandex_uid, receipt_key, phone_ids, order_ids)
            VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT DO NOTHING
            """,
            (
                subject.job_id,
                kind.value,
                subject.yandex_uid,
                subject.receipt_key,
                subject.phone_ids,
                subject.order_ids,
            ),
        )
        return cursor.rowcount == 1

    async def add_phones(
        self, connection: Connection, yandex_uid: str, kind: JobKind, phone_ids: Collection[str]
    ) -> Subject | None:
        """Adds phones to the user of an open job, and returns it, or None if there is none."""
        async with connection.cursor(row_factory=class_row(Subject)) as cursor:
            await cursor.execute(
                """
                UPDATE user_data.subjects
                SET phone_ids = ARRAY(SELECT unnest(phone_ids) UNION SELECT unnest(%s::text[]))
                WHERE yandex_uid = %s AND kind = %s
                RETURNING job_id, yandex_uid, receipt_key, phone_ids, order_ids
                """,
                (list(phone_ids), yandex_uid, kind.value),
            )
            return await cursor.fetchone()

    async def subject(self, connection: Connection, job_id: str, kind: JobKind) -> Subject | None:
        """Returns the user of an open job, or None if there is no such job, or it has ended."""
        async with connection.cursor(row_factory=class_row(Subject)) as cursor:
            await cursor.execute(
                """
                SELECT job_id, yandex_uid, receipt_key, phone_ids, order_ids
                FROM user_data.subjects WHERE job_id = %s AND kind = %s
                """,
                (job_id, kind.value),
            )
            return await cursor.fetchone()

    async def add_identifiers(
        self, connection: Connection, job_id: str, phone_ids: Collection[str], order_ids: Collection[str]
    ) -> None:
        """Adds what services know of a user."""
        await connection.execute(
            """
            UPDATE user_data.subjects SET
                phone_ids = ARRAY(SELECT unnest(phone_ids) UNION SELECT unnest(%s::text[])),
                order_ids = ARRAY(SELECT unnest(order_ids) UNION SELECT unnest(%s::text[]))
            WHERE job_id = %s
            """,
            (list(phone_ids), list(order_ids), job_id),
        )

    async def claim_due(self, connection: Connection, now: datetime, lease_until: datetime) -> Job | None:
        """Takes the job that has been due for longest until the lease is over; returns None if none is due."""
        async with connection.cursor(row_factory=class_row(Job)) as cursor:
            await cursor.execute(
                """
                UPDATE user_data.jobs SET next_run_at = %s
                WHERE job_id = (
                    SELECT job_id FROM user_data.jobs WHERE next_run_at <= %s
                    ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED
                )
                RETURNING job_id, kind, pseudonym, requested_by, passes, waits_for, requested_at, erased_at, ended_at,
                    given_up
                """,
                (lease_until, now),
            )
            return await cursor.fetchone()

    async def extend_lease(self, connection: Connection, job_id: str, lease_until: datetime) -> None:
        await connection.execute(
            "UPDATE user_data.jobs SET next_run_at = %s WHERE job_id = %s AND next_run_at IS NOT NULL",
            (lease_until, job_id),
        )

    async def put_off(self, connection: Connection, job_id: str, next_run_at: datetime, waits_for: str | None) -> None:
        """Stores what an open job waits for, and when it is to go on."""
        await connection.execute(
            "UPDATE user_data.jobs SET next_run_at = %s, waits_for = %s WHERE job_id = %s AND next_run_at IS NOT NULL",
            (next_run_at, waits_for, job_id),
        )

    async def begin_pass(self, connection: Connection, job_id: str) -> None:
        """Counts a pass, of which every service of the job owes its part."""
        await connection.execute(
            """
            WITH owing AS (UPDATE user_data.job_services SET owed = true WHERE job_id = %(job_id)s)
            UPDATE user_data.jobs SET passes = passes + 1, waits_for = NULL WHERE job_id = %(job_id)s
            """,
            {"job_id": job_id},
        )

    async def insert_services(self, connection: Connection, job_id: str, services: Collection[str]) -> None:
        await connection.execute(
            """
            INSERT INTO user_data.job_services (job_id, service) SELECT %s, unnest(%s::text[])
            ON CONFLICT (job_id, service) DO NOTHING
            """,
            (job_id, list(services)),
        )

    async def put_found(self, connection: Connection, job_id: str, service: str, found: Mapping[str, int]) -> None:
        """Stores how many records of each kind a search found, if it is more than before."""
        await connection.execute(
            """
            INSERT INTO user_data.job_counts AS known (job_id, service, kind, found)
            SELECT %s, %s, kind, found FROM unnest(%s::text[], %s::bigint[]) AS given (kind, found)
            ON CONFLICT (job_id, service, kind) DO UPDATE SET found = greatest(known.found, excluded.found)
            """,
            (job_id, service, list(found), list(found.values())),
        )

    async def add_erased(self, connection: Connection, job_id: str, service: str, erased: Mapping[str, int]) -> None:
        """Adds to what a service erased."""
        await connection.execute(
            """
            INSERT INTO user_data.job_counts AS known (job_id, service, kind, erased)
            SELECT %s, %s, kind, erased FROM unnest(%s::text[], %s::bigint[]) AS given (kind, erased)
            ON CONFLICT (job_id, service, kind) DO UPDATE SET erased = known.erased + excluded.erased
            """,
            (job_id, service, list(erased), list(erased.values())),
        )

    async def end_part(self, connection: Connection, job_id: str, service: str, now: datetime) -> None:
        """Stores that a service has done its part, and that something may have been erased by it."""
        await connection.execute(
            """
            WITH done AS (
                UPDATE user_data.job_services SET owed = false, failure = NULL, processed_at = %(now)s
                WHERE job_id = %(job_id)s AND service = %(service)s
            )
            UPDATE user_data.jobs SET erased_at = %(now)s WHERE job_id = %(job_id)s
            """,
            {"job_id": job_id, "service": service, "now": now},
        )

    async def put_failure(self, connection: Connection, job_id: str, service: str, failure: str | None) -> None:
        """Stores why a service's part failed, or that it did not."""
        await connection.execute(
            "UPDATE user_data.job_services SET failure = %s WHERE job_id = %s AND service = %s",
            (failure, job_id, service),
        )

    async def end_job(self, connection: Connection, job_id: str, now: datetime, *, given_up: bool) -> bool:
        """Ends a job and deletes all that is known of its user; returns False if there is no such open job."""
        cursor = await connection.execute(
            """
            WITH ended AS (
                UPDATE user_data.jobs
                SET ended_at = %(now)s, next_run_at = NULL, waits_for = NULL, given_up = %(given_up)s
                WHERE job_id = %(job_id)s AND ended_at IS NULL
                RETURNING job_id
            )
            DELETE FROM user_data.subjects USING ended
            WHERE subjects.job_id = ended.job_id AND subjects.job_id = %(job_id)s
            """,
            {"now": now, "job_id": job_id, "given_up": given_up},
        )
        return cursor.rowcount == 1

    async def job(self, connection: Connection, job_id: str) -> Job | None:
        async with connection.cursor(row_factory=class_row(Job)) as cursor:
            await cursor.execute(
                """
                SELECT job_id, kind, pseudonym, requested_by, passes, waits_for, requested_at, erased_at, ended_at,
                    given_up
                FROM user_data.jobs WHERE job_id = %s
                """,
                (job_id,),
            )
            return await cursor.fetchone()

    async def services(self, connection: Connection, job_id: str) -> list[ServiceReceipt]:
        """Returns what each service had and did, by name."""
        async with connection.cursor(row_factory=class_row(ServiceReceipt)) as cursor:
            await cursor.execute(
                """
                SELECT
                    service,
                    coalesce(jsonb_object_agg(kind, found) FILTER (WHERE found > 0), '{}') AS found,
                    coalesce(jsonb_object_agg(kind, erased) FILTER (WHERE erased > 0), '{}') AS erased,
                    processed_at, failure, owed
                FROM user_data.job_services LEFT JOIN user_data.job_counts USING (job_id, service)
                WHERE job_id = %s
                GROUP BY job_id, service
                ORDER BY service
                """,
                (job_id,),
            )
            return await cursor.fetchall()

    async def open_jobs(self, connection: Connection) -> dict[str, tuple[int, datetime]]:
        """Returns by kind how many jobs are open, and when the oldest was started."""
        cursor = await connection.execute(
            """
            SELECT kind, count(*), min(requested_at) FROM user_data.jobs WHERE next_run_at IS NOT NULL GROUP BY kind
            """
        )
        return {kind: (number, oldest) for kind, number, oldest in await cursor.fetchall()}

    async def delete_old(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes receipts of jobs that ended before a time; returns how many."""
        cursor = await connection.execute(
            """
            DELETE FROM user_data.jobs WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM user_data.jobs WHERE ended_at < %s ORDER BY ended_at LIMIT %s FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount
