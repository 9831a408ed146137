"""The SQL of the purge. Rows that another transaction has locked are left for the next run."""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.database import Connection


class PurgeStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def delete_rides(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes rides first heard of before a moment, with all that belongs to them; returns how many."""
        # Rows that are locked cannot move, so they are deleted by their place (ctid) instead of a second search.
        cursor = await connection.execute(
            """
            DELETE FROM order_route_sharing.sharing_keys
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM order_route_sharing.sharing_keys
                WHERE created_at < %s
                ORDER BY created_at
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount

    async def delete_requests(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes requests of the task insert_order that came before a moment; returns how many."""
        cursor = await connection.execute(
            """
            DELETE FROM order_route_sharing.insert_order_requests
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM order_route_sharing.insert_order_requests
                WHERE requested_at < %s
                ORDER BY requested_at
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount
