"""The SQL of the families that route_sharing follows."""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.database import Connection

from .followed_family import FollowedFamily


class FollowedFamilyStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one.

    Who changes a family, or shares a ride with it, locks the family first, then the ride.
    """

    async def lock_and_put(self, connection: Connection, family: FollowedFamily, used_at: datetime) -> bool:
        """Stores a family without its members, unless it is known at this version or a higher one, and locks it.

        Returns whether it was stored, so that its members are to be replaced.
        """
        admin = family.admin
        # An upsert locks the row that it collides with also where its condition does not hold.
        cursor = await connection.execute(
            """
            INSERT INTO order_route_sharing.families AS known (family_id, version, admin_uid, admin_name, used_at)
            VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (family_id) DO UPDATE SET
                version = excluded.version,
                admin_uid = excluded.admin_uid,
                admin_name = excluded.admin_name,
                used_at = excluded.used_at
            WHERE known.version < excluded.version
            """,
            (family.family_id, family.version, admin and admin.uid, admin and admin.name, used_at),
        )
        return cursor.rowcount == 1

    async def delete_members(self, connection: Connection, family_id: str) -> None:
        """Removes the members of a family, for others to take their place."""
        await connection.execute("DELETE FROM order_route_sharing.family_members WHERE family_id = %s", (family_id,))

    async def insert_members(self, connection: Connection, family: FollowedFamily) -> None:
        """Stores the members of a family that has none."""
        await connection.execute(
            """
            INSERT INTO order_route_sharing.family_members (family_id, membership_id, yandex_uid, phone_id)
            SELECT %s, member.* FROM unnest(%s::text[], %s::text[], %s::text[]) AS member
            """,
            (
                family.family_id,
                [member.membership_id for member in family.members],
                [member.yandex_uid for member in family.members],
                [member.phone_id for member in family.members],
            ),
        )

    async def mark_used(self, connection: Connection, family_id: str, used_at: datetime) -> None:
        """Keeps the purge from deleting a family that a ride is being shared with."""
        await connection.execute(
            "UPDATE order_route_sharing.families SET used_at = %s WHERE family_id = %s", (used_at, family_id)
        )

    async def membership_of(self, connection: Connection, family_id: str, yandex_uid: str) -> str | None:
        """Returns a rider's membership in a family, or None if the rider is not in it."""
        cursor = await connection.execute(
            """
            SELECT membership_id FROM order_route_sharing.family_members WHERE family_id = %s AND yandex_uid = %s
            """,
            (family_id, yandex_uid),
        )
        row = await cursor.fetchone()
        return None if row is None else str(row[0])

    async def delete_unused(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes families that were last used before a time, with what rides still have of them; returns how many.

        Those that another transaction has locked are skipped.
        """
        cursor = await connection.execute(
            """
            DELETE FROM order_route_sharing.families
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM order_route_sharing.families
                WHERE used_at < %s
                ORDER BY used_at
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount
