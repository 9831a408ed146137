"""The SQL of family."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg.rows import TupleRow

from ridehail_servers.chassis.database import Connection

from .membership import Family, FamilySnapshot, Member, Membership, Role


class FamilyStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def family_of(self, connection: Connection, yandex_uid: str) -> Family | None:
        """Returns the family of a rider with all its members, or None if the rider is in none."""
        cursor = await connection.execute(
            """
            SELECT
                family_id, families.admin_name,
                members.yandex_uid, members.phone_id, members.role, members.name, members.membership_id
            FROM family.members AS rider
            JOIN family.families USING (family_id)
            JOIN family.members USING (family_id)
            WHERE rider.yandex_uid = %s
            ORDER BY members.role = 'owner' DESC, members.member_number
            """,
            (yandex_uid,),
        )
        return _family(await cursor.fetchall())

    async def family(self, connection: Connection, family_id: str) -> Family | None:
        """Returns a family with all its members, or None if there is no such family."""
        cursor = await connection.execute(
            """
            SELECT
                family_id, families.admin_name,
                members.yandex_uid, members.phone_id, members.role, members.name, members.membership_id
            FROM family.families
            JOIN family.members USING (family_id)
            WHERE family_id = %s
            ORDER BY members.role = 'owner' DESC, members.member_number
            """,
            (family_id,),
        )
        return _family(await cursor.fetchall())

    async def snapshot_of(self, connection: Connection, yandex_uid: str) -> FamilySnapshot | None:
        """Returns the family of a rider at its present version, or None if the rider is in none."""
        cursor = await connection.execute(
            """
            SELECT
                family_id, families.version, families.admin_name,
                members.membership_id, members.yandex_uid, members.phone_id, members.role
            FROM family.members AS rider
            JOIN family.families USING (family_id)
            JOIN family.members USING (family_id)
            WHERE rider.yandex_uid = %s
            ORDER BY members.role = 'owner' DESC, members.member_number
            """,
            (yandex_uid,),
        )
        rows = await cursor.fetchall()
        return snapshot_from(rows) if rows else None

    async def lock_family(self, connection: Connection, family_id: str) -> bool:
        """Locks a family against every other change of its members; returns False if there is no such family."""
        cursor = await connection.execute(
            "SELECT 1 FROM family.families WHERE family_id = %s AND disbanded_at IS NULL FOR NO KEY UPDATE",
            (family_id,),
        )
        return await cursor.fetchone() is not None

    async def insert_family(
        self, connection: Connection, family_id: str, admin_name: str, created_at: datetime
    ) -> None:
        """Stores a family without members."""
        await connection.execute(
            "INSERT INTO family.families (family_id, admin_name, created_at) VALUES (%s, %s, %s)",
            (family_id, admin_name, created_at),
        )

    async def insert_member(self, connection: Connection, family_id: str, member: Member, added_at: datetime) -> bool:
        """Stores a member, or returns False if the rider is in a family already."""
        cursor = await connection.execute(
            """
            INSERT INTO family.members (family_id, yandex_uid, phone_id, role, name, membership_id, added_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT ON CONSTRAINT members_yandex_uid_key DO NOTHING
            """,
            (
                family_id,
                member.yandex_uid,
                member.phone_id,
                member.role,
                member.name or None,
                member.membership_id,
                added_at,
            ),
        )
        return cursor.rowcount == 1

    async def update_phone(self, connection: Connection, family_id: str, yandex_uid: str, phone_id: str) -> None:
        """Changes the phone of a member of a family."""
        await connection.execute(
            "UPDATE family.members SET phone_id = %s WHERE family_id = %s AND yandex_uid = %s",
            (phone_id, family_id, yandex_uid),
        )

    async def delete_member(self, connection: Connection, family_id: str, yandex_uid: str) -> bool:
        """Removes a rider from a family; returns whether the rider was in it."""
        cursor = await connection.execute(
            "DELETE FROM family.members WHERE family_id = %s AND yandex_uid = %s", (family_id, yandex_uid)
        )
        return cursor.rowcount == 1

    async def delete_members(self, connection: Connection, family_id: str) -> None:
        """Removes everybody from a family."""
        await connection.execute("DELETE FROM family.members WHERE family_id = %s", (family_id,))

    async def rename_admin(self, connection: Connection, family_id: str, admin_name: str) -> None:
        """Changes how a family calls its admin."""
        await connection.execute(
            "UPDATE family.families SET admin_name = %s WHERE family_id = %s", (admin_name, family_id)
        )

    async def mark_disbanded(self, connection: Connection, family_id: str, disbanded_at: datetime) -> None:
        """Ends a family that has no members any more; what is left is its version, for those who follow it."""
        await connection.execute(
            "UPDATE family.families SET disbanded_at = %s, admin_name = '' WHERE family_id = %s",
            (disbanded_at, family_id),
        )

    async def delete_disbanded(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes families that were disbanded before a time and whose end is published; returns how many."""
        cursor = await connection.execute(
            """
            DELETE FROM family.families
            WHERE unpublished_since IS NULL AND ctid = ANY(ARRAY(
                SELECT ctid FROM family.families
                WHERE disbanded_at < %s
                ORDER BY disbanded_at
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount


def _family(rows: Sequence[TupleRow]) -> Family | None:
    """Reads a family from a row for each member: family_id, admin_name, then the columns of `Member`."""
    if not rows:
        return None
    family_id, admin_name, *_ = rows[0]
    members = (
        Member(uid, phone, Role(role), name or "", membership_id)
        for _, _, uid, phone, role, name, membership_id in rows
    )
    return Family(family_id, admin_name, tuple(members))


def snapshot_from(rows: Sequence[TupleRow]) -> FamilySnapshot:
    """Reads a family from a row for each member.

    Its columns are family_id, version, admin_name, membership_id, yandex_uid, phone_id and role. A family without
    members has one row, with NULL in place of the member's columns.
    """
    family_id, version, admin_name, *_ = rows[0]
    members = [row[3:] for row in rows if row[3] is not None]
    return FamilySnapshot(
        family_id,
        version,
        admin_uid=next((yandex_uid for _, yandex_uid, _, role in members if role == Role.OWNER), None),
        admin_name=admin_name,
        members=tuple(Membership(*member[:3]) for member in members),
    )
