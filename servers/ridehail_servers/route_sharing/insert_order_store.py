"""The SQL of the requests that the task insert_order works off."""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.database import Connection

from .insert_order import InsertOrder
from .ride import Ride


class InsertOrderStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def insert_request(self, connection: Connection, insert: InsertOrder, requested_at: datetime) -> int:
        """Stores what the task is to insert; returns the request's id."""
        ride = insert.ride
        cursor = await connection.execute(
            """
            INSERT INTO order_route_sharing.insert_order_requests (
                order_id, sharing_key, phone_ids, yandex_uid, requested_at
            ) VALUES (%s, %s, %s, %s, %s)
            RETURNING request_id
            """,
            (ride.order_id, ride.sharing_key, list(insert.phone_ids), ride.yandex_uid, requested_at),
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def lock_request(self, connection: Connection, request_id: int) -> InsertOrder | None:
        """Returns an open request, locked against another run of its task; None when it is done or refused already."""
        cursor = await connection.execute(
            """
            SELECT sharing_key, order_id, yandex_uid, phone_ids
            FROM order_route_sharing.insert_order_requests
            WHERE request_id = %s AND refused_because IS NULL
            FOR UPDATE
            """,
            (request_id,),
        )
        row = await cursor.fetchone()
        return None if row is None else InsertOrder(Ride(row[0], row[1], row[2]), tuple(row[3]))

    async def delete_request(self, connection: Connection, request_id: int) -> None:
        """Removes a request that is done."""
        await connection.execute(
            "DELETE FROM order_route_sharing.insert_order_requests WHERE request_id = %s", (request_id,)
        )

    async def mark_refused(self, connection: Connection, request_id: int, because: str) -> None:
        """Keeps a refused request for whoever asks why, without the phones and the rider."""
        await connection.execute(
            """
            UPDATE order_route_sharing.insert_order_requests
            SET refused_because = %s, yandex_uid = NULL, phone_ids = '{}'
            WHERE request_id = %s
            """,
            (because, request_id),
        )
