"""The SQL of eulas."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_servers.chassis.database import Connection

from .decision import Decision, Status


class EulasStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def decisions_of(self, connection: Connection, yandex_uids: Sequence[str]) -> dict[str, list[Decision]]:
        """Returns all stored decisions of those of the users who have any, valid or not."""
        cursor = await connection.execute(
            """
            SELECT yandex_uid, eula_id, status::text, revision, valid_till, updated_at
            FROM eulas.users
            WHERE yandex_uid = ANY(%s)
            """,
            (list(yandex_uids),),
        )
        found: dict[str, list[Decision]] = {}
        for yandex_uid, eula_id, status, revision, valid_till, updated_at in await cursor.fetchall():
            decision = Decision(eula_id, Status(status), revision, valid_till, updated_at)
            found.setdefault(yandex_uid, []).append(decision)
        return found

    async def save(self, connection: Connection, yandex_uid: str, decisions: Sequence[Decision], source: str) -> None:
        """Stores decisions over earlier ones, and logs them: all of it or nothing.

        Args:
            connection: Any.
            yandex_uid: The user.
            decisions: One for each agreement at most.
            source: Who saves them.
        """
        # Each row is locked before its entry draws its number, and stays locked until both are visible: so the order of
        # the log is the order in which answers took effect. All callers lock in the same order, so none waits for
        # another in a circle.
        ordered = sorted(decisions, key=lambda decision: decision.eula_id)
        await connection.execute(
            """
            WITH applied AS (
                INSERT INTO eulas.users AS stored (
                    yandex_uid, eula_id, status, revision, valid_till, updated_at, created_at
                )
                SELECT %s, eula_id, status, revision, valid_till, updated_at, updated_at
                FROM unnest(%s::text[], %s::eulas.status_t[], %s::integer[], %s::timestamptz[], %s::timestamptz[])
                    AS given (eula_id, status, revision, valid_till, updated_at)
                ON CONFLICT (yandex_uid, eula_id) DO UPDATE SET
                    status = excluded.status,
                    revision = excluded.revision,
                    valid_till = excluded.valid_till,
                    updated_at = excluded.updated_at
                RETURNING yandex_uid, eula_id, status, revision, valid_till, updated_at
            )
            INSERT INTO eulas.decisions_log (yandex_uid, eula_id, status, revision, valid_till, decided_at, source)
            SELECT yandex_uid, eula_id, status, revision, valid_till, updated_at, %s
            FROM applied
            """,
            (
                yandex_uid,
                [decision.eula_id for decision in ordered],
                [decision.status.value for decision in ordered],
                [decision.revision for decision in ordered],
                [decision.valid_till for decision in ordered],
                [decision.updated_at for decision in ordered],
                source,
            ),
        )
