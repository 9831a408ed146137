"""How many background tasks wait for a worker, and for how long the oldest has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .database import Database
from .metrics import TASKS_OLDEST, TASKS_WAITING

_INTERVAL_S = 10.0

# A task that is to be tried again later is not due yet. A task became due with the event of its enqueueing.
_BACKLOG = """
    SELECT task_name, count(*), extract(epoch FROM now() - min(coalesce(scheduled_at, enqueued.at)))::float8
    FROM procrastinate_jobs AS job
    LEFT JOIN LATERAL (
        SELECT at FROM procrastinate_events WHERE job_id = job.id ORDER BY id LIMIT 1
    ) AS enqueued ON true
    WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
    GROUP BY task_name
"""


async def report_backlog(database: Database, service: str, tasks: Sequence[str]) -> None:
    """Keeps the metrics of the named tasks up to date until cancelled; raises as `Database.connection` does."""
    while True:
        async with database.connection() as connection:
            rows = await (await connection.execute(_BACKLOG)).fetchall()
        found: dict[str, tuple[int, float]] = {name: (number, seconds) for name, number, seconds in rows}
        for name in tasks:
            number, seconds = found.get(name, (0, 0.0))
            TASKS_WAITING.labels(service, name).set(number)
            TASKS_OLDEST.labels(service, name).set(seconds)
        await asyncio.sleep(_INTERVAL_S)
