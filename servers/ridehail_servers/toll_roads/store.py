"""The SQL of toll_roads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import args_row, class_row

from ridehail_servers.chassis.database import Connection

from .order_save import OrderSave
from .road_switch import RecordedRoads, SwitchableOrder


@dataclass(frozen=True, slots=True)
class Road:
    """The road that an order uses.

    Attributes:
        order_id: The order.
        has_toll_road: The toll road or the free one.
        can_switch_road: Whether the rider may switch it during the ride; False while the order has no passenger.
        created: Of the latest change, or None if only the offer is known.
    """

    order_id: str
    has_toll_road: bool
    can_switch_road: bool
    created: datetime | None


class TollRoadsStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def insert_offer(self, connection: Connection, offer_id: str, created_at: datetime) -> None:
        """Stores an offer; a known one keeps its `created_at`.

        A known one is locked: the call before this one may have ended while its commit waited for a standby, and a
        transaction that changes nothing would wait for none.
        """
        await connection.execute(
            """
            INSERT INTO toll_roads.offers (offer_id, created_at) VALUES (%s, %s)
            ON CONFLICT (offer_id) DO UPDATE SET created_at = offers.created_at WHERE false
            """,
            (offer_id, created_at),
        )

    async def offers_among(self, connection: Connection, offer_ids: Sequence[str]) -> set[str]:
        """Returns those of the ids that are stored offers."""
        cursor = await connection.execute(
            "SELECT offer_id FROM toll_roads.offers WHERE offer_id = ANY(%s)", (list(offer_ids),)
        )
        return {row[0] for row in await cursor.fetchall()}

    async def latest_roads(self, connection: Connection, order_ids: Sequence[str]) -> list[Road]:
        """Returns the roads of those of the orders that have one: each by its latest change."""
        async with connection.cursor(row_factory=args_row(Road)) as cursor:
            await cursor.execute(
                """
                SELECT orders.order_id, latest.has_toll_road, orders.can_switch_road, latest.created_at
                FROM toll_roads.orders
                CROSS JOIN LATERAL (
                    SELECT has_toll_road, created_at
                    FROM toll_roads.log_has_toll_road AS log
                    WHERE log.order_id = orders.order_id
                    ORDER BY created_at DESC
                    LIMIT 1
                ) AS latest
                WHERE orders.order_id = ANY(%s)
                """,
                (list(order_ids),),
            )
            return await cursor.fetchall()

    async def insert_save_request(self, connection: Connection, save: OrderSave, requested_at: datetime) -> int:
        """Stores an order for the task to save; returns the request's id."""
        cursor = await connection.execute(
            """
            INSERT INTO toll_roads.order_save_requests (
                order_id, created_at, offer_id, can_switch_road, user_chose_toll_road, yandex_uid, requested_at
            ) VALUES (%s, %s, %s, %s, %s, %s, %s)
            RETURNING request_id
            """,
            (
                save.order_id,
                save.created,
                save.offer_id,
                save.can_switch_road,
                save.user_chose_toll_road,
                save.yandex_uid,
                requested_at,
            ),
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def lock_save_request(self, connection: Connection, request_id: int) -> OrderSave | None:
        """Locks a request against another run of its task and returns it, or None if it is done or refused already."""
        async with connection.cursor(row_factory=class_row(OrderSave)) as cursor:
            await cursor.execute(
                """
                SELECT order_id, created_at AS created, offer_id, can_switch_road, user_chose_toll_road, yandex_uid
                FROM toll_roads.order_save_requests
                WHERE request_id = %s AND refused_because IS NULL
                FOR UPDATE
                """,
                (request_id,),
            )
            return await cursor.fetchone()

    async def delete_save_request(self, connection: Connection, request_id: int) -> None:
        """Removes a request that is done."""
        await connection.execute("DELETE FROM toll_roads.order_save_requests WHERE request_id = %s", (request_id,))

    async def mark_save_request_refused(self, connection: Connection, request_id: int, because: str) -> None:
        """Records why a request is refused, and forgets the passenger."""
        await connection.execute(
            """
            UPDATE toll_roads.order_save_requests SET refused_because = %s, yandex_uid = NULL WHERE request_id = %s
            """,
            (because, request_id),
        )

    async def has_log_row(self, connection: Connection, order_id: str, created: datetime) -> bool:
        """Returns whether the order has a change with this `created`."""
        cursor = await connection.execute(
            "SELECT 1 FROM toll_roads.log_has_toll_road WHERE order_id = %s AND created_at = %s", (order_id, created)
        )
        return await cursor.fetchone() is not None

    async def has_order(self, connection: Connection, order_id: str) -> bool:
        """Returns whether the order is stored."""
        cursor = await connection.execute("SELECT 1 FROM toll_roads.orders WHERE order_id = %s", (order_id,))
        return await cursor.fetchone() is not None

    async def insert_order(self, connection: Connection, save: OrderSave) -> bool:
        """Stores an order, or returns False if its id or its offer is taken."""
        cursor = await connection.execute(
            """
            INSERT INTO toll_roads.orders (order_id, created_at, offer_id, can_switch_road, yandex_uid)
            VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT DO NOTHING
            """,
            (save.order_id, save.created, save.offer_id, save.passenger_can_switch, save.yandex_uid),
        )
        return cursor.rowcount == 1

    async def fill_passenger(self, connection: Connection, save: OrderSave) -> None:
        """Stores the passenger, and what the passenger may, of an order with this `created` that has none yet."""
        await connection.execute(
            """
            UPDATE toll_roads.orders SET yandex_uid = %s, can_switch_road = %s
            WHERE order_id = %s AND created_at = %s AND yandex_uid IS NULL
            """,
            (save.yandex_uid, save.passenger_can_switch, save.order_id, save.created),
        )

    async def insert_log_row(
        self, connection: Connection, order_id: str, created: datetime, *, has_toll_road: bool
    ) -> None:
        """Stores a change of an order's road."""
        await connection.execute(
            "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road) VALUES (%s, %s, %s)",
            (order_id, created, has_toll_road),
        )

    async def lock_order(self, connection: Connection, order_id: str) -> SwitchableOrder | None:
        """Locks the order against every other switch of it until the transaction ends, and returns it, or None."""
        async with connection.cursor(row_factory=class_row(SwitchableOrder)) as cursor:
            # New changes refer to the order: the weaker lock lets rows of other transactions do that.
            await cursor.execute(
                """
                SELECT created_at AS created, can_switch_road, yandex_uid
                FROM toll_roads.orders
                WHERE order_id = %s
                FOR NO KEY UPDATE
                """,
                (order_id,),
            )
            return await cursor.fetchone()

    async def recorded_roads(
        self, connection: Connection, order_id: str, *, created: datetime, order_created: datetime
    ) -> RecordedRoads | None:
        """Returns the roads recorded for an order before a switch, or None.

        The first one is the change with the `created` of the order, else the oldest.
        """
        async with connection.cursor(row_factory=class_row(RecordedRoads)) as cursor:
            await cursor.execute(
                """
                SELECT
                    first.created_at AS first_created,
                    first.has_toll_road AS first_has_toll_road,
                    last.created_at AS last_created,
                    (
                        SELECT has_toll_road FROM toll_roads.log_has_toll_road
                        WHERE order_id = %(order_id)s AND created_at = %(created)s
                    ) AS same_created_has_toll_road
                FROM (
                    SELECT 1 AS rank, created_at, has_toll_road FROM toll_roads.log_has_toll_road
                    WHERE order_id = %(order_id)s AND created_at = %(order_created)s
                    UNION ALL (
                        SELECT 2, created_at, has_toll_road FROM toll_roads.log_has_toll_road
                        WHERE order_id = %(order_id)s ORDER BY created_at LIMIT 1
                    )
                    ORDER BY rank LIMIT 1
                ) AS first
                CROSS JOIN (
                    SELECT created_at FROM toll_roads.log_has_toll_road
                    WHERE order_id = %(order_id)s ORDER BY created_at DESC LIMIT 1
                ) AS last
                """,
                {"order_id": order_id, "created": created, "order_created": order_created},
            )
            return await cursor.fetchone()
