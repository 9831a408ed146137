"""The SQL of invitations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ridehail_servers.chassis.database import Connection

from .invitation import Invitation, WaitingInvitation


class InvitationStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def insert(
        self, connection: Connection, invitation: Invitation, invited_by: str, created_at: datetime
    ) -> None:
        """Stores an open invitation.

        As declined, if its sender has sent the phone one that was declined and would still be open.
        """
        await connection.execute(
            """
            INSERT INTO family.invitations (
                invitation_id, family_id, phone_id, name, invited_by, created_at, expires_at, declined_at
            )
            SELECT
                %(invitation_id)s, %(family_id)s, %(phone_id)s, %(name)s,
                %(invited_by)s, %(created_at)s, %(expires_at)s, max(declined_at)
            FROM family.invitations
            WHERE phone_id = %(phone_id)s AND invited_by = %(invited_by)s AND expires_at > %(created_at)s
            """,
            {
                "invitation_id": invitation.invitation_id,
                "family_id": invitation.family_id,
                "phone_id": invitation.phone_id,
                "name": invitation.name,
                "invited_by": invited_by,
                "created_at": created_at,
                "expires_at": invitation.expires_at,
            },
        )

    async def find(self, connection: Connection, invitation_id: str) -> Invitation | None:
        """Returns an invitation, whatever its state, or None if there is no such one."""
        cursor = await connection.execute(
            """
            SELECT
                invitation_id, family_id, phone_id, name, expires_at,
                closed_at IS NOT NULL, declined_at IS NOT NULL, accepted_by
            FROM family.invitations
            WHERE invitation_id = %s
            """,
            (invitation_id,),
        )
        row = await cursor.fetchone()
        return None if row is None else Invitation(*row)

    async def unclosed(self, connection: Connection, family_id: str) -> list[Invitation]:
        """Returns the invitations of a family that are not closed, expired ones among them, the oldest first."""
        cursor = await connection.execute(
            """
            SELECT
                invitation_id, family_id, phone_id, name, expires_at,
                closed_at IS NOT NULL, declined_at IS NOT NULL, accepted_by
            FROM family.invitations
            WHERE family_id = %s AND closed_at IS NULL
            ORDER BY created_at
            """,
            (family_id,),
        )
        return [Invitation(*row) for row in await cursor.fetchall()]

    async def received(
        self, connection: Connection, phone_id: str, yandex_uid: str, now: datetime, limit: int
    ) -> Sequence[WaitingInvitation]:
        """Returns the open invitations to a phone, but for those into the family that its rider is in."""
        cursor = await connection.execute(
            """
            SELECT invitation_id, families.admin_name, expires_at
            FROM family.invitations
            JOIN family.families USING (family_id)
            WHERE phone_id = %(phone_id)s AND closed_at IS NULL AND declined_at IS NULL AND expires_at > %(now)s
                AND NOT EXISTS (
                    SELECT FROM family.members
                    WHERE members.yandex_uid = %(yandex_uid)s AND members.family_id = invitations.family_id
                )
            ORDER BY invitations.created_at
            LIMIT %(limit)s
            """,
            {"phone_id": phone_id, "yandex_uid": yandex_uid, "now": now, "limit": limit},
        )
        return [WaitingInvitation(*row) for row in await cursor.fetchall()]

    async def sent_before(self, connection: Connection, invited_by: str, later: int) -> datetime | None:
        """Returns when a rider sent the latest invitation but for `later` ones, or None if there are no more."""
        cursor = await connection.execute(
            """
            SELECT created_at FROM family.invitations
            WHERE invited_by = %s
            ORDER BY created_at DESC
            LIMIT 1 OFFSET %s
            """,
            (invited_by, later),
        )
        row = await cursor.fetchone()
        return None if row is None else row[0]

    async def decline(self, connection: Connection, invitation_id: str, phone_id: str, now: datetime) -> bool:
        """Takes an open invitation off the list of who has the phone; returns False if it is none to that phone."""
        cursor = await connection.execute(
            """
            UPDATE family.invitations SET declined_at = coalesce(declined_at, %(now)s)
            WHERE invitation_id = %(invitation_id)s AND phone_id = %(phone_id)s
                AND closed_at IS NULL AND expires_at > %(now)s
            """,
            {"invitation_id": invitation_id, "phone_id": phone_id, "now": now},
        )
        return cursor.rowcount == 1

    async def accept(self, connection: Connection, invitation: Invitation, accepted_by: str, now: datetime) -> bool:
        """Closes an invitation as accepted; returns False if it is closed or declined."""
        cursor = await connection.execute(
            """
            UPDATE family.invitations SET closed_at = %s, accepted_by = %s
            WHERE invitation_id = %s AND family_id = %s AND closed_at IS NULL AND declined_at IS NULL
            """,
            (now, accepted_by, invitation.invitation_id, invitation.family_id),
        )
        return cursor.rowcount == 1

    async def close(self, connection: Connection, invitation_id: str, family_id: str, now: datetime) -> bool:
        """Closes an invitation of a family, unless it is; returns False if the family has no such one."""
        cursor = await connection.execute(
            """
            UPDATE family.invitations SET closed_at = coalesce(closed_at, %s)
            WHERE invitation_id = %s AND family_id = %s
            """,
            (now, invitation_id, family_id),
        )
        return cursor.rowcount == 1

    async def close_all(self, connection: Connection, family_id: str, now: datetime) -> None:
        """Closes all invitations of a family."""
        await connection.execute(
            "UPDATE family.invitations SET closed_at = %s WHERE family_id = %s AND closed_at IS NULL",
            (now, family_id),
        )

    async def delete_old(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes invitations that expired before a time; returns how many. What others have locked is skipped."""
        cursor = await connection.execute(
            """
            DELETE FROM family.invitations
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM family.invitations
                WHERE expires_at < %s
                ORDER BY expires_at
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount
