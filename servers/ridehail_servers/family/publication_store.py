"""The SQL of the publication of families."""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.database import Connection

from .membership import UnpublishedFamily
from .store import snapshot_from


class PublicationStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def add_version(self, connection: Connection, family_id: str, changed_at: datetime) -> int | None:
        """Gives a family that is locked its next version; returns its number, or None if there is no such family."""
        cursor = await connection.execute(
            """
            UPDATE family.families
            SET version = version + 1, unpublished_since = coalesce(unpublished_since, %s)
            WHERE family_id = %s
            RETURNING family_number
            """,
            (changed_at, family_id),
        )
        row = await cursor.fetchone()
        return None if row is None else int(row[0])

    async def unpublished(self, connection: Connection, family_number: int) -> UnpublishedFamily | None:
        """Returns a family with unconfirmed changes at its present version; None if it has none, or is gone."""
        cursor = await connection.execute(
            """
            SELECT
                family_id, families.version, families.admin_name,
                members.membership_id, members.yandex_uid, members.phone_id, members.role,
                families.unpublished_since
            FROM family.families
            LEFT JOIN family.members USING (family_id)
            WHERE family_number = %s AND unpublished_since IS NOT NULL
            ORDER BY members.role = 'owner' DESC, members.member_number
            """,
            (family_number,),
        )
        rows = await cursor.fetchall()
        return UnpublishedFamily(snapshot_from([row[:7] for row in rows]), rows[0][7]) if rows else None

    async def confirm(self, connection: Connection, family_id: str, version: int) -> None:
        """Stores that followers have a version of a family; an older one than the highest changes nothing."""
        await connection.execute(
            """
            UPDATE family.families
            SET published_version = %(version)s,
                unpublished_since = CASE WHEN version > %(version)s THEN unpublished_since END
            WHERE family_id = %(family_id)s AND published_version < %(version)s
            """,
            {"family_id": family_id, "version": version},
        )

    async def overdue(self, connection: Connection, before: datetime, limit: int) -> list[tuple[int, datetime]]:
        """Returns numbers of families with unconfirmed changes before a time, and since when, the oldest first."""
        cursor = await connection.execute(
            """
            SELECT family_number, unpublished_since FROM family.families
            WHERE unpublished_since < %s
            ORDER BY unpublished_since
            LIMIT %s
            """,
            (before, limit),
        )
        return await cursor.fetchall()
