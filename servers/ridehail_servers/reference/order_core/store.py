"""The SQL of order_core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import sql
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from ridehail_kernel.json_values import JsonObject
from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.json_limits import DetailsBudget
from ridehail_servers.chassis.json_text import decode

from .document import FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class OrderDocument:
    """An order and its document; `yandex_uid` is the passenger."""

    order_id: str
    yandex_uid: str
    document: JsonObject


@dataclass(frozen=True, slots=True)
class OrderInfo:
    """What callers need to show an order: `order.status` and `order.rsk` (the sharing key), or empty without them."""

    order_id: str
    yandex_uid: str
    status: str
    sharing_key: str


class OrderDocumentStore:
    """One method per statement, each on the caller's connection and in its transaction if there is one."""

    async def put_order(self, connection: Connection, order: OrderDocument, now: datetime) -> None:
        """Stores an order in place of an older one, whose time of creation stays."""
        await connection.execute(
            """
            INSERT INTO order_core.orders (order_id, yandex_uid, document, created_at, updated_at)
            VALUES (%(order_id)s, %(yandex_uid)s, %(document)s, %(now)s, %(now)s)
            ON CONFLICT (order_id) DO UPDATE
            SET yandex_uid = excluded.yandex_uid, document = excluded.document, updated_at = excluded.updated_at
            """,
            {
                "order_id": order.order_id,
                "yandex_uid": order.yandex_uid,
                "document": Jsonb(order.document),
                "now": now,
            },
        )

    async def find_order(self, connection: Connection, order_id: str) -> OrderDocument | None:
        cursor = await connection.execute(
            "SELECT order_id, yandex_uid, document::text FROM order_core.orders WHERE order_id = %s", (order_id,)
        )
        row = await cursor.fetchone()
        return None if row is None else _order(*row)

    async def order_infos(
        self, connection: Connection, order_ids: Sequence[str], *, max_length: int
    ) -> list[OrderInfo]:
        """Returns what there is to show of those of the orders that are stored, each text cut to `max_length`."""
        async with connection.cursor(row_factory=args_row(OrderInfo)) as cursor:
            await cursor.execute(_ORDER_INFOS, {"order_ids": list(order_ids), "max_length": max_length})
            return await cursor.fetchall()

    async def lock_document(self, connection: Connection, order_id: str) -> JsonObject | None:
        """Returns a document locked for this transaction, or None if there is no such order."""
        cursor = await connection.execute(
            "SELECT document::text FROM order_core.orders WHERE order_id = %s FOR UPDATE", (order_id,)
        )
        row = await cursor.fetchone()
        return None if row is None else _read_document(row[0])

    async def update_document(self, connection: Connection, order_id: str, document: JsonObject, now: datetime) -> None:
        """Replaces the document of a locked order."""
        await connection.execute(
            "UPDATE order_core.orders SET document = %s, updated_at = %s WHERE order_id = %s",
            (Jsonb(document), now, order_id),
        )

    async def insert_processing_event(self, connection: Connection, order_id: str, version: int, now: datetime) -> None:
        """Records that order processing should look at an order again."""
        await connection.execute(
            "INSERT INTO order_core.processing_events (order_id, version, created_at) VALUES (%s, %s, %s)",
            (order_id, version, now),
        )

    async def list_active(self, connection: Connection, yandex_uid: str, *, limit: int) -> list[OrderDocument]:
        """Returns a passenger's orders whose status is not final, the oldest first.

        Their documents hold status, version and parts only, and the details of the first ones.
        """
        cursor = await connection.execute(_LIST_ACTIVE, (yandex_uid, limit, DetailsBudget.MAX_BYTES))
        return [_order(*row) for row in await cursor.fetchall()]


# Documents can be large: OFFSET keeps the planner from reading each once more for every use of what it holds.
_ORDER_INFOS: Final = """
    SELECT
        order_id,
        yandex_uid,
        CASE jsonb_typeof(status) WHEN 'string' THEN left(status #>> '{}', %(max_length)s) ELSE '' END,
        CASE jsonb_typeof(sharing_key) WHEN 'string' THEN left(sharing_key #>> '{}', %(max_length)s) ELSE '' END
    FROM order_core.orders
    CROSS JOIN LATERAL (
        SELECT document -> 'order' -> 'status' AS status, document -> 'order' -> 'rsk' AS sharing_key OFFSET 0
    ) AS shown
    WHERE order_id = ANY(%(order_ids)s)
    """

# The statuses stand in the statement itself, in the same words as in the condition of the index orders_active_idx: only
# then does Postgres use it. So the cost does not grow with the orders that a passenger has behind them.
_LIST_ACTIVE: Final = sql.SQL(
    """
    WITH page AS (
        SELECT order_id, yandex_uid, document, created_at
        FROM order_core.orders
        WHERE yandex_uid = %s AND coalesce(document -> 'order' ->> 'status', '') NOT IN ({final_statuses})
        ORDER BY created_at, order_id
        LIMIT %s
    )
    SELECT order_id, yandex_uid, (
        jsonb_build_object(
            'order',
            jsonb_build_object('status', document #> '{{order,status}}', 'version', document #> '{{order,version}}'),
            'parts', document -> 'parts'
        ) || CASE
            WHEN sum(octet_length((document -> 'details')::text)) OVER (ORDER BY created_at, order_id) <= %s
            THEN jsonb_build_object('details', document -> 'details')
            WHEN document ? 'details' THEN '{{}}'
            ELSE '{{"details": null}}'
        END
    )::text
    FROM page
    ORDER BY created_at, order_id
    """
).format(final_statuses=sql.SQL(", ").join(map(sql.Literal, FINAL_STATUSES)))


def _order(order_id: str, yandex_uid: str, document: str) -> OrderDocument:
    return OrderDocument(order_id, yandex_uid, _read_document(document))


def _read_document(text: str) -> JsonObject:
    document = decode(text)
    assert isinstance(document, dict)
    return document
