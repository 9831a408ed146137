"""The SQL of comparisons."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from psycopg.types.json import Jsonb

from ridehail_servers.chassis.database import Connection

from .json_comparison import Kind, Verdict
from .redaction import Mismatch


class ComparisonStore:
    """One method per statement, each on the caller's connection and in its transaction if there is one."""

    async def count(self, connection: Connection, now: datetime, kind: Kind, verdict: Verdict) -> bool:
        """Counts a comparison; returns whether it is the first of its minute in this row."""
        cursor = await connection.execute(
            """
            INSERT INTO user_state.comparisons AS stored (minute, kind, verdict, shard, count)
            VALUES (date_trunc('minute', %s::timestamptz), %s, %s, pg_backend_pid() %% 16, 1)
            ON CONFLICT (minute, kind, verdict, shard) DO UPDATE SET count = stored.count + 1
            RETURNING count
            """,
            (now, kind.value, verdict.value),
        )
        return await cursor.fetchone() == (1,)

    async def drop_old_counts(self, connection: Connection, before: datetime) -> None:
        """Deletes the totals of minutes before a time, except those that others are deleting."""
        await connection.execute(
            """
            DELETE FROM user_state.comparisons
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM user_state.comparisons WHERE minute < %s FOR UPDATE SKIP LOCKED
            ))
            """,
            (before,),
        )

    async def insert_mismatch(self, connection: Connection, mismatch: Mismatch) -> None:
        await connection.execute(
            """
            INSERT INTO user_state.mismatches (at, request_id, kind, old_status, new_status, differences)
            VALUES (%s, %s, %s, %s, %s, %s)
            """,
            (
                mismatch.at,
                mismatch.request_id,
                mismatch.kind.value,
                mismatch.old_status,
                mismatch.new_status,
                Jsonb([asdict(one) for one in mismatch.differences]),
            ),
        )

    async def drop_old_mismatches(self, connection: Connection, kept: int) -> None:
        """Deletes all but the latest mismatches, except those that others are deleting."""
        await connection.execute(
            """
            DELETE FROM user_state.mismatches
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM user_state.mismatches
                WHERE id <= (SELECT max(id) FROM user_state.mismatches) - %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (kept,),
        )
