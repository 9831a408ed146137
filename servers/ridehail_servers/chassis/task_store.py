"""The SQL of background tasks that is not procrastinate's."""

from __future__ import annotations

from .database import Connection


class TaskStore:
    """One method per statement, each on the caller's connection."""

    async def backlog(self, connection: Connection) -> dict[str, tuple[int, float]]:
        """Returns how many tasks of each name are due, and for how many seconds the oldest has been.

        A task that is to be tried again later is not due yet. A task became due with the event of its enqueueing.
        """
        cursor = await connection.execute(
            """
            SELECT task_name, count(*), extract(epoch FROM now() - min(coalesce(scheduled_at, enqueued.at)))::float8
            FROM procrastinate_jobs AS job
            LEFT JOIN LATERAL (
                SELECT at FROM procrastinate_events WHERE job_id = job.id ORDER BY id LIMIT 1
            ) AS enqueued ON true
            WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
            GROUP BY task_name
            """
        )
        return {name: (number, seconds) for name, number, seconds in await cursor.fetchall()}

    async def try_lock_rescue(self, connection: Connection, schema: str) -> bool:
        """Makes this transaction the only one that rescues tasks of the schema; returns False if another one is."""
        cursor = await connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (f"{schema} rescue",)
        )
        return await cursor.fetchone() == (True,)
