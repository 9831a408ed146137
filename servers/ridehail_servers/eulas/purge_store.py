"""The SQL of the purge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ridehail_servers.chassis.database import Connection

EVER = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
"""Before every row."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What a statement deleted: how many rows, and the latest valid_till among them, None without any."""

    rows: int
    latest: datetime | None


class PurgeStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def count_expired(self, connection: Connection, before: datetime) -> int:
        """Counts the decisions that expired before a moment."""
        cursor = await connection.execute("SELECT count(*) FROM eulas.users WHERE valid_till < %s", (before,))
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def delete_expired(self, connection: Connection, since: datetime, before: datetime, limit: int) -> Purged:
        """Deletes the decisions of a span that expired first, but for those that others have locked.

        To start where the last batch ended spares a walk over its dead rows. Rows that are locked cannot move, so they
        are deleted by their place (ctid) instead of a second search.
        """
        cursor = await connection.execute(
            """
            WITH deleted AS (
                DELETE FROM eulas.users
                WHERE ctid = ANY(ARRAY(
                    SELECT ctid FROM eulas.users
                    WHERE valid_till >= %s AND valid_till < %s
                    ORDER BY valid_till
                    LIMIT %s
                    FOR UPDATE SKIP LOCKED
                ))
                RETURNING valid_till
            )
            SELECT count(*), max(valid_till) FROM deleted
            """,
            (since, before, limit),
        )
        row = await cursor.fetchone()
        assert row is not None
        return Purged(*row)
