"""The SQL of the archive's erasures. One method per statement, on the caller's connection, in its transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ridehail_servers.chassis.database import Connection


class ErasureStore:
    async def open_erasures(self, connection: Connection, limit: int) -> dict[bytes, str]:
        """Returns orders to erase from the archive, the oldest requests first: hash -> id."""
        cursor = await connection.execute(
            """
            SELECT order_hash, order_id FROM toll_roads.archive_erasures
            WHERE order_id IS NOT NULL ORDER BY requested_at LIMIT %s
            """,
            (limit,),
        )
        return dict(await cursor.fetchall())

    async def end_erasures(self, connection: Connection, order_hashes: Collection[bytes]) -> None:
        """Forgets the ids of erased orders; their hashes stay."""
        await connection.execute(
            "UPDATE toll_roads.archive_erasures SET order_id = NULL WHERE order_hash = ANY(%s)", (list(order_hashes),)
        )

    async def delete_old(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes what was requested before a time and is done; returns how many."""
        cursor = await connection.execute(
            """
            DELETE FROM toll_roads.archive_erasures
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM toll_roads.archive_erasures
                WHERE requested_at < %s AND order_id IS NULL
                ORDER BY requested_at
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount
