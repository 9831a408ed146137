"""The SQL of order_state.

A statement that changes parts locks the row of their order first: so no two transactions wait for each other, and a
deleted order does not get parts again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from ridehail_servers.chassis.database import Connection

from .orders import ActiveOrder, OrderKey, PartVersion, RecordedOrder
from .report import RecordState


class OrderStateStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def orders_of(
        self, connection: Connection, yandex_uids: Sequence[str]
    ) -> dict[str, dict[str, dict[str, RecordedOrder]]]:
        """Reads all that is stored of riders' orders: rider -> service -> orderid -> order."""
        cursor = await connection.execute(
            """
            SELECT yandex_uid, service, orderid, reported, finished, finish_sequence, part_name, version, sequence
            FROM order_state.orders LEFT JOIN order_state.parts USING (service, orderid)
            WHERE yandex_uid = ANY(%s)
            """,
            (list(yandex_uids),),
        )
        found: dict[str, dict[str, dict[str, RecordedOrder]]] = {}
        parts: dict[tuple[str, str], dict[str, PartVersion]] = {}
        for row in await cursor.fetchall():
            uid, service, orderid, reported, finished, finish_sequence, part, version, sequence = row
            own = parts.get((service, orderid))
            if own is None:
                own = parts[service, orderid] = {}
                of_service = found.setdefault(uid, {}).setdefault(service, {})
                of_service[orderid] = RecordedOrder(reported, finished, finish_sequence, own)
            if part is not None:
                own[part] = (version, sequence)
        return found

    async def lock_order(self, connection: Connection, key: OrderKey, yandex_uid: str, now: datetime) -> RecordState:
        """Locks an order until the transaction ends and returns its state; a new one is stored as never reported.

        Args:
            connection: Inside a transaction.
            key: The order.
            yandex_uid: Whose order it is if it is not stored.
            now: When its provider last sent anything of it.
        """
        cursor = await connection.execute(
            """
            INSERT INTO order_state.orders (service, orderid, yandex_uid, updated_at)
            VALUES (%s, %s, %s, %s)
            ON CONFLICT (service, orderid) DO UPDATE SET updated_at = excluded.updated_at
            RETURNING yandex_uid, reported, finished, finish_sequence
            """,
            (key.service, key.orderid, yandex_uid, now),
        )
        row = await cursor.fetchone()
        assert row is not None
        return RecordState(*row)

    async def save_state(self, connection: Connection, key: OrderKey, state: RecordState) -> None:
        """Stores the state of an order that `lock_order` has locked."""
        await connection.execute(
            """
            UPDATE order_state.orders
            SET yandex_uid = %s, reported = %s, finished = %s, finish_sequence = %s
            WHERE service = %s AND orderid = %s
            """,
            (state.yandex_uid, state.reported, state.finished, state.finish_sequence, key.service, key.orderid),
        )

    async def save_parts(self, connection: Connection, key: OrderKey, parts: Mapping[str, str], sequence: int) -> int:
        """Stores those versions of a locked order's parts that are newer than what is stored; returns how many are.

        Args:
            connection: In the transaction that has locked the order.
            key: The order.
            parts: Part -> version.
            sequence: The number of the order's change that they come from.
        """
        if not parts:
            return 0
        cursor = await connection.execute(
            """
            INSERT INTO order_state.parts AS known (service, orderid, part_name, version, sequence)
            SELECT %s, %s, part_name, version, %s
            FROM unnest(%s::text[], %s::text[]) AS given (part_name, version)
            ON CONFLICT (service, orderid, part_name) DO UPDATE SET
                version = excluded.version,
                sequence = excluded.sequence
            WHERE excluded.sequence > known.sequence
            """,
            (key.service, key.orderid, sequence, list(parts), list(parts.values())),
        )
        return cursor.rowcount

    async def record_listed(
        self, connection: Connection, service: str, yandex_uid: str, orders: Sequence[ActiveOrder], now: datetime
    ) -> None:
        """Stores what is newer of a rider's listed orders (numbered, each once). An order of another rider stays."""
        # One JSON: psycopg writes arrays element by element in Python, which takes ten times as long.
        listed = [
            {"orderid": order.orderid, "sequence": order.sequence, "parts": dict(order.parts)}
            for order in sorted(orders, key=lambda order: order.orderid)
        ]
        await connection.execute(
            """
            WITH given AS (
                SELECT * FROM jsonb_to_recordset(%(listed)s) AS listed (orderid text, sequence bigint, parts jsonb)
            ), held AS (
                INSERT INTO order_state.orders AS known (service, orderid, yandex_uid, finish_sequence, updated_at)
                SELECT %(service)s, orderid, %(uid)s, sequence, %(now)s FROM given
                ON CONFLICT (service, orderid) DO UPDATE SET
                    finished = known.finished AND known.finish_sequence >= excluded.finish_sequence,
                    finish_sequence = greatest(known.finish_sequence, excluded.finish_sequence),
                    updated_at = excluded.updated_at
                WHERE known.yandex_uid = excluded.yandex_uid
                RETURNING service, orderid
            )
            INSERT INTO order_state.parts AS known (service, orderid, part_name, version, sequence)
            SELECT held.service, held.orderid, part.key, part.value, given.sequence
            FROM held JOIN given USING (orderid), jsonb_each_text(given.parts) AS part
            ON CONFLICT (service, orderid, part_name) DO UPDATE SET
                version = excluded.version,
                sequence = excluded.sequence
            WHERE excluded.sequence > known.sequence
            """,
            {"service": service, "uid": yandex_uid, "now": now, "listed": Jsonb(listed)},
        )

    async def delete_old(
        self, connection: Connection, *, finished_before: datetime, before: datetime, limit: int
    ) -> int:
        """Deletes old orders with their parts, but for those that others have locked; returns how many.

        Rows that are locked cannot move, so they are deleted by their position (ctid) instead of a second search. Each
        age has a search of its own, the oldest first: of both in one, a generic plan reads the whole table.

        Args:
            connection: Any.
            finished_before: Orders that ended and were last updated before this time go ...
            before: ... and all that were last updated before this one.
            limit: At most so many of each; that fewer than these are deleted in all means that no more are left.
        """
        cursor = await connection.execute(
            """
            DELETE FROM order_state.orders
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM (
                    SELECT ctid FROM order_state.orders
                    WHERE finished AND updated_at < %(finished_before)s
                    ORDER BY updated_at
                    LIMIT %(limit)s
                    FOR UPDATE SKIP LOCKED
                ) AS ended
                UNION ALL
                SELECT ctid FROM (
                    SELECT ctid FROM order_state.orders
                    WHERE updated_at < %(before)s
                    ORDER BY updated_at
                    LIMIT %(limit)s
                    FOR UPDATE SKIP LOCKED
                ) AS untouched
            ))
            """,
            {"finished_before": finished_before, "before": before, "limit": limit},
        )
        return cursor.rowcount
