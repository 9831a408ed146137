"""The SQL of route_sharing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from psycopg.rows import TupleRow

from ridehail_servers.chassis.database import Connection

from .ride import FamilyRide, InsertRequest, Origin, Ride, StoredSharing, WatchedRide


class RouteSharingStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def lock_new_or_known(self, connection: Connection, ride: Ride, created_at: datetime) -> bool:
        """Stores a ride, or the rider of a known one, and locks it until the transaction ends.

        Returns False, and stores nothing, if the key is that of another order.
        """
        # An upsert finds the row that it collides with, or makes it, even while a purge deletes it.
        cursor = await connection.execute(
            """
            INSERT INTO order_route_sharing.sharing_keys AS known (sharing_key, order_id, yandex_uid, created_at)
            VALUES (%s, %s, %s, %s)
            ON CONFLICT (sharing_key) DO UPDATE SET yandex_uid = coalesce(known.yandex_uid, excluded.yandex_uid)
            WHERE known.order_id = excluded.order_id
            """,
            (ride.sharing_key, ride.order_id, ride.yandex_uid, created_at),
        )
        return cursor.rowcount == 1

    async def lock_known(self, connection: Connection, sharing_key: str) -> str | None:
        """Locks a ride as `lock_new_or_known` does, and returns its order, or None if there is no such key."""
        # Phones refer to the key: the weaker lock lets rows of other transactions do that.
        cursor = await connection.execute(
            "SELECT order_id FROM order_route_sharing.sharing_keys WHERE sharing_key = %s FOR NO KEY UPDATE",
            (sharing_key,),
        )
        row = await cursor.fetchone()
        return None if row is None else str(row[0])

    async def insert_phones(
        self, connection: Connection, sharing_key: str, phone_ids: Collection[str], origin: Origin
    ) -> None:
        """Shares a ride with phones, for a reason; those that it is shared with for that reason already stay."""
        await connection.execute(
            """
            INSERT INTO order_route_sharing.phone_ids (sharing_key, phone_id, origin)
            SELECT %s, phone_id, %s FROM unnest(%s::text[]) AS phone_id
            ON CONFLICT ON CONSTRAINT phone_ids_pkey DO NOTHING
            """,
            (sharing_key, origin, list(phone_ids)),
        )

    async def delete_phones(self, connection: Connection, sharing_key: str, origin: Origin) -> None:
        """Ends the sharing of a ride for a reason."""
        await connection.execute(
            "DELETE FROM order_route_sharing.phone_ids WHERE sharing_key = %s AND origin = %s", (sharing_key, origin)
        )

    async def put_family_ride(
        self, connection: Connection, sharing_key: str, family_id: str, membership_id: str, updated_at: datetime
    ) -> None:
        """Stores that a ride is shared with a family, for as long as the rider's membership in it lasts."""
        await connection.execute(
            """
            INSERT INTO order_route_sharing.family_rides (sharing_key, family_id, membership_id, sharing_on, updated_at)
            VALUES (%s, %s, %s, true, %s)
            ON CONFLICT (sharing_key) DO UPDATE SET
                family_id = excluded.family_id,
                membership_id = excluded.membership_id,
                admin_uid = NULL,
                admin_name = NULL,
                sharing_on = true,
                updated_at = excluded.updated_at
            """,
            (sharing_key, family_id, membership_id, updated_at),
        )

    async def end_family_ride(self, connection: Connection, sharing_key: str, updated_at: datetime) -> None:
        """Stores that a ride is not shared with its family any more; changes nothing if it is not."""
        await connection.execute(
            """
            UPDATE order_route_sharing.family_rides SET sharing_on = false, updated_at = %s
            WHERE sharing_key = %s AND sharing_on
            """,
            (updated_at, sharing_key),
        )

    async def sharing(self, connection: Connection, sharing_key: str) -> StoredSharing | None:
        """Returns whom a ride is shared with, or None if there is no such key.

        Its family is there as long as the rider has been in it since the ride was shared with it.
        """
        cursor = await connection.execute(
            """
            SELECT
                coalesce(families.admin_uid, family_rides.admin_uid),
                coalesce(families.admin_name, family_rides.admin_name),
                family_rides.sharing_on,
                ARRAY(
                    SELECT phone_id FROM order_route_sharing.phone_ids
                    WHERE phone_ids.sharing_key = %(sharing_key)s
                    UNION
                    SELECT phone_id FROM order_route_sharing.family_members
                    WHERE family_members.family_id = rider.family_id
                        AND family_rides.sharing_on
                        AND family_members.phone_id <> rider.phone_id
                ),
                sharing_keys.yandex_uid
            FROM order_route_sharing.sharing_keys
            LEFT JOIN order_route_sharing.family_rides USING (sharing_key)
            LEFT JOIN order_route_sharing.family_members AS rider USING (family_id, membership_id)
            LEFT JOIN order_route_sharing.families ON families.family_id = rider.family_id
            WHERE sharing_key = %(sharing_key)s
            """,
            {"sharing_key": sharing_key},
        )
        row = await cursor.fetchone()
        return None if row is None else StoredSharing(tuple(sorted(row[3])), _family_ride(row), row[4])

    async def watched_ride(
        self, connection: Connection, sharing_key: str, *, yandex_uid: str, phone_id: str
    ) -> WatchedRide | None:
        """Returns a ride, or None if it is neither the passenger's own nor shared with the passenger's phone.

        It comes with its family only for the rider and the phones of the family. An unknown phone is empty, which none
        is that a ride is shared with. A phone that the rider has in common with another member is the rider's.
        """
        cursor = await connection.execute(
            """
            SELECT
                CASE WHEN seen.of_family THEN coalesce(families.admin_uid, family_rides.admin_uid) END,
                CASE WHEN seen.of_family THEN coalesce(families.admin_name, family_rides.admin_name) END,
                family_rides.sharing_on,
                sharing_keys.order_id
            FROM order_route_sharing.sharing_keys
            LEFT JOIN order_route_sharing.family_rides USING (sharing_key)
            LEFT JOIN order_route_sharing.family_members AS rider USING (family_id, membership_id)
            LEFT JOIN order_route_sharing.families ON families.family_id = rider.family_id
            CROSS JOIN LATERAL (
                SELECT
                    sharing_keys.yandex_uid = %(yandex_uid)s
                    OR EXISTS (
                        SELECT FROM order_route_sharing.phone_ids
                        WHERE phone_ids.sharing_key = %(sharing_key)s
                            AND phone_ids.phone_id = %(phone_id)s
                            AND phone_ids.origin = 'family'
                    )
                    OR (
                        family_rides.sharing_on
                        AND rider.phone_id <> %(phone_id)s
                        AND EXISTS (
                            SELECT FROM order_route_sharing.family_members
                            WHERE family_members.family_id = rider.family_id
                                AND family_members.phone_id = %(phone_id)s
                        )
                    ) AS of_family,
                    EXISTS (
                        SELECT FROM order_route_sharing.phone_ids
                        WHERE phone_ids.sharing_key = %(sharing_key)s
                            AND phone_ids.phone_id = %(phone_id)s
                            AND phone_ids.origin = 'order'
                    ) AS of_order
            ) AS seen
            WHERE sharing_keys.sharing_key = %(sharing_key)s AND (seen.of_family OR seen.of_order)
            """,
            {"sharing_key": sharing_key, "yandex_uid": yandex_uid, "phone_id": phone_id},
        )
        row = await cursor.fetchone()
        return None if row is None else WatchedRide(row[3], _family_ride(row))

    async def insert_request(self, connection: Connection, request: InsertRequest, requested_at: datetime) -> int:
        """Stores what the task insert_order is to insert; returns the request's id."""
        ride = request.ride
        cursor = await connection.execute(
            """
            INSERT INTO order_route_sharing.insert_order_requests (
                order_id, sharing_key, phone_ids, yandex_uid, requested_at
            ) VALUES (%s, %s, %s, %s, %s)
            RETURNING request_id
            """,
            (ride.order_id, ride.sharing_key, list(request.phone_ids), ride.yandex_uid, requested_at),
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def lock_request(self, connection: Connection, request_id: int) -> InsertRequest | None:
        """Locks an open request against another run of its task; returns it, or None if it is done or refused."""
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
        return None if row is None else InsertRequest(Ride(row[0], row[1], row[2]), tuple(row[3]))

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

    async def delete_old_rides(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes rides that were stored before a time, with all that belongs to them; returns how many.

        Those that another transaction has locked are skipped.
        """
        # Rows that are locked cannot move, so they are deleted by their position (ctid) instead of a second search.
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

    async def delete_old_requests(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes requests of the task insert_order that came before a time, likewise; returns how many."""
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


def _family_ride(row: TupleRow) -> FamilyRide | None:
    """Reads the columns admin_uid, admin_name and sharing_on, which are all NULL without a family."""
    return None if row[0] is None else FamilyRide(row[0], row[1], row[2])
