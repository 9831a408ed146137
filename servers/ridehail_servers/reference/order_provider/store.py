"""The SQL of order_provider. It names no schema: each service's connections see their own only."""

from __future__ import annotations

from datetime import datetime

from psycopg.types.json import Json, Jsonb

from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.json_limits import DetailsBudget

from .order_details import ActiveOrder, Order


class ProviderOrderStore:
    """One method per statement, each on the caller's connection and in its transaction if there is one."""

    async def put_order(self, connection: Connection, order: Order, now: datetime) -> int | None:
        """Stores an order in place of an older one of the same passenger, whose time of creation stays.

        Returns:
            The order's sequence, or None if the stored order is another passenger's; then nothing was stored.
        """
        cursor = await connection.execute(
            """
            INSERT INTO orders AS stored (
                orderid, yandex_uid, status, parts, details, finished, sequence, created_at, updated_at
            )
            VALUES (
                %(orderid)s, %(yandex_uid)s, %(status)s, %(parts)s, %(details)s, %(finished)s, 1, %(now)s, %(now)s
            )
            ON CONFLICT (orderid) DO UPDATE SET
                status = excluded.status,
                parts = excluded.parts,
                details = excluded.details,
                finished = excluded.finished,
                sequence = stored.sequence + 1,
                updated_at = excluded.updated_at
            WHERE stored.yandex_uid = excluded.yandex_uid
            RETURNING sequence
            """,
            {
                "orderid": order.orderid,
                "yandex_uid": order.yandex_uid,
                "status": order.status,
                "parts": Jsonb(order.parts),
                "details": Json(order.details),
                "finished": order.finished,
                "now": now,
            },
        )
        row = await cursor.fetchone()
        return None if row is None else row[0]

    async def list_active(self, connection: Connection, yandex_uid: str, *, limit: int) -> list[ActiveOrder]:
        """Returns a passenger's orders that have not ended, the oldest first. Only the first ones have details."""
        cursor = await connection.execute(
            """
            WITH page AS (
                SELECT orderid, status, parts, details, sequence, created_at
                FROM orders
                WHERE yandex_uid = %s AND NOT finished
                ORDER BY created_at, orderid
                LIMIT %s
            )
            SELECT orderid, status, parts,
                CASE WHEN sum(octet_length(details::text)) OVER (ORDER BY created_at, orderid) <= %s THEN details END,
                sequence
            FROM page
            ORDER BY created_at, orderid
            """,
            (yandex_uid, limit, DetailsBudget.MAX_BYTES),
        )
        return [ActiveOrder(*row) for row in await cursor.fetchall()]
