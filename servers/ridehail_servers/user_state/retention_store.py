"""The SQL of the retention of personal states and comparisons."""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.database import Connection


class RetentionStore:
    """One method per statement, each on the caller's connection. Rows that others have locked are skipped."""

    async def delete_states(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes states that were last changed before a time, the oldest first; returns how many."""
        cursor = await connection.execute(
            """
            DELETE FROM user_state.personal_states
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM user_state.personal_states
                WHERE updated_at < %s
                ORDER BY updated_at
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount

    async def delete_mismatches(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes mismatches that were found before a time, likewise."""
        cursor = await connection.execute(
            """
            DELETE FROM user_state.mismatches
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM user_state.mismatches WHERE at < %s ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount
