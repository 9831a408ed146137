"""The SQL of the runs that mark those who have to decide again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import sql

from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.row_counts import RowCount, count_rows


class ResignRun(NamedTuple):
    """A run, as far as it is.

    Attributes:
        version: The change that asks for it.
        eula_id: The agreement.
        revision: The agreement's before the change: decisions on lower ones count for nobody already.
        expected: How many riders it was expected to mark.
        checked: Decisions that it has looked at.
        marked: Riders that it has marked.
        requested_at: When it was asked for.
        updated_at: When it last committed a batch, or None.
        finished_at: When it was done, or None.
    """

    version: int
    eula_id: str
    revision: int
    expected: int
    checked: int
    marked: int
    requested_at: datetime
    updated_at: datetime | None
    finished_at: datetime | None


class NewRun(NamedTuple):
    """A run that is to be stored; see `ResignRun`."""

    version: int
    eula_id: str
    revision: int
    expected: int


class MarkedBatch(NamedTuple):
    """How many decisions a batch has looked at, how many of them it has marked, and the last user in it, or None."""

    checked: int
    marked: int
    last_user: str | None


class ResignStore:
    """One method per statement, each on the caller's connection, in its transaction if there is one."""

    async def count_riders(
        self, connection: Connection, eula_id: str, revision: int, now: datetime, how: RowCount
    ) -> int:
        """Counts the riders whose decision on an agreement counts at a time; `revision` is the agreement's."""
        rows = sql.SQL("""
            SELECT FROM eulas.users
            WHERE eula_id = %s AND NOT need_resign AND revision >= %s AND valid_till > %s
        """)
        return await count_rows(connection, rows, (eula_id, revision, now), how)

    async def insert_run(self, connection: Connection, run: NewRun, now: datetime) -> None:
        """Stores a run that has done nothing yet."""
        await connection.execute(
            """
            INSERT INTO eulas.resign_runs (version, eula_id, revision, expected, requested_at)
            VALUES (%s, %s, %s, %s, %s)
            """,
            (*run, now),
        )

    async def lock_run(self, connection: Connection, version: int) -> tuple[ResignRun, str] | None:
        """Returns a run and the user up to whom it is done, or None if it is done.

        No other transaction goes on with it meanwhile.
        """
        cursor = await connection.execute(
            """
            SELECT version, eula_id, revision, expected, checked, marked, requested_at, updated_at, finished_at,
                done_up_to
            FROM eulas.resign_runs
            WHERE version = %s AND finished_at IS NULL
            FOR UPDATE
            """,
            (version,),
        )
        row = await cursor.fetchone()
        return None if row is None else (ResignRun(*row[:-1]), row[-1])

    async def mark_batch(
        self, connection: Connection, run: ResignRun, after_user: str, limit: int, now: datetime
    ) -> MarkedBatch:
        """Marks those of the next users who decided before the change, and whose decision still counts.

        Rows are locked in the order in which imports of decisions lock them, and judged as they are once they are
        locked: a decision that a user has made again meanwhile stays.
        """
        cursor = await connection.execute(
            """
            WITH batch AS MATERIALIZED (
                SELECT ARRAY(
                    SELECT yandex_uid FROM eulas.users
                    WHERE eula_id = %(eula_id)s AND yandex_uid COLLATE "C" > %(after)s
                    ORDER BY yandex_uid COLLATE "C"
                    LIMIT %(limit)s
                ) AS users
            ), locked AS MATERIALIZED (
                SELECT yandex_uid FROM eulas.users
                WHERE eula_id = %(eula_id)s AND yandex_uid = ANY((SELECT users FROM batch)::text[])
                    AND catalogue_version < %(version)s AND NOT need_resign
                    AND revision >= %(revision)s AND valid_till > %(now)s
                ORDER BY yandex_uid COLLATE "C"
                FOR UPDATE
            ), marked AS (
                UPDATE eulas.users SET need_resign = true
                WHERE eula_id = %(eula_id)s AND yandex_uid = ANY(ARRAY(SELECT yandex_uid FROM locked))
                    AND catalogue_version < %(version)s
                RETURNING 1
            )
            SELECT cardinality(users), (SELECT count(*) FROM marked), users[cardinality(users)] FROM batch
            """,
            {
                "eula_id": run.eula_id,
                "after": after_user,
                "limit": limit,
                "version": run.version,
                "revision": run.revision,
                "now": now,
            },
        )
        row = await cursor.fetchone()
        assert row is not None
        return MarkedBatch(*row)

    async def save_progress(
        self, connection: Connection, version: int, batch: MarkedBatch, now: datetime, *, is_done: bool
    ) -> None:
        """Adds a batch to what a run has done."""
        await connection.execute(
            """
            UPDATE eulas.resign_runs SET
                -- Nothing of a user stays behind.
                done_up_to = CASE WHEN %s THEN '' ELSE coalesce(%s, done_up_to) END,
                checked = checked + %s,
                marked = marked + %s,
                updated_at = %s,
                finished_at = CASE WHEN %s THEN %s::timestamptz END
            WHERE version = %s
            """,
            (is_done, batch.last_user, batch.checked, batch.marked, now, is_done, now, version),
        )

    async def latest_runs(self, connection: Connection, limit: int) -> list[ResignRun]:
        """Returns the latest runs, the last first."""
        cursor = await connection.execute(
            """
            SELECT version, eula_id, revision, expected, checked, marked, requested_at, updated_at, finished_at
            FROM eulas.resign_runs
            ORDER BY version DESC
            LIMIT %s
            """,
            (limit,),
        )
        return _runs(await cursor.fetchall())

    async def latest_runs_of(self, connection: Connection, eula_id: str, limit: int) -> list[ResignRun]:
        """Returns the latest runs of an agreement, the last first."""
        cursor = await connection.execute(
            """
            SELECT version, eula_id, revision, expected, checked, marked, requested_at, updated_at, finished_at
            FROM eulas.resign_runs
            WHERE eula_id = %s
            ORDER BY version DESC
            LIMIT %s
            """,
            (eula_id, limit),
        )
        return _runs(await cursor.fetchall())


def _runs(rows: Sequence[Sequence[Any]]) -> list[ResignRun]:
    return [ResignRun(*row) for row in rows]
