"""The SQL of eulas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from psycopg import sql

from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.row_counts import RowCount, count_rows

from .decision import Decision, Status

MIN_TIMESTAMP = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
"""Before every row."""

_STATUSES = {status.value: status for status in Status}


class EulasStore:
    """One method per statement. Every method runs on the caller's connection, in its transaction if there is one."""

    async def decisions_of(self, connection: Connection, yandex_uids: Sequence[str]) -> dict[str, list[Decision]]:
        """Returns all stored decisions of those of the users who have any, valid or not.

        Those that the user has to make again since the agreement has changed are none.
        """
        cursor = await connection.execute(
            """
            SELECT yandex_uid, eula_id, status::text, revision, valid_till, updated_at
            FROM eulas.users
            WHERE yandex_uid = ANY(%s) AND NOT need_resign
            """,
            (list(yandex_uids),),
        )
        found: dict[str, list[Decision]] = {}
        for yandex_uid, eula_id, status, revision, valid_till, updated_at in await cursor.fetchall():
            decision = Decision(eula_id, _STATUSES[status], revision, valid_till, updated_at)
            found.setdefault(yandex_uid, []).append(decision)
        return found

    async def save(
        self,
        connection: Connection,
        yandex_uid: str,
        decisions: Sequence[Decision],
        source: str,
        catalogue_version: int | None = None,
    ) -> None:
        """Stores decisions over earlier ones and logs them, one for each agreement at most: all of it or nothing.

        With the version of the catalogue that they were made on, those that an agreement asks for again since are
        stored as such.
        """
        # Each row is locked before its entry draws its number, and stays locked until both are visible: so the order of
        # the log is the order in which decisions took effect. All callers lock in the same order, so none waits for
        # another in a circle.
        # An agreement cannot change from here on until the decision is visible to whoever changes it, and one that is
        # changing right now is compared as it is after the change. So no decision on what it said before escapes both
        # this comparison and the task that marks such decisions.
        ordered = sorted(decisions, key=lambda decision: decision.eula_id)
        parameters = {
            "yandex_uid": yandex_uid,
            "eula_ids": [decision.eula_id for decision in ordered],
            "statuses": [decision.status.value for decision in ordered],
            "revisions": [decision.revision for decision in ordered],
            "valid_till": [decision.valid_till for decision in ordered],
            "updated_at": [decision.updated_at for decision in ordered],
            "source": source,
            "catalogue_version": catalogue_version,
        }
        # A user's two first saves at once: the later one finds the pseudonym that the other has drawn by a repeat.
        while ordered and not (await connection.execute(_SAVE, parameters)).rowcount:
            pass

    async def count_expired(self, connection: Connection, before: datetime, how: RowCount) -> int:
        """Counts the decisions that expired before a timestamp."""
        return await count_rows(connection, sql.SQL("SELECT FROM eulas.users WHERE valid_till < %s"), (before,), how)

    async def delete_expired(
        self, connection: Connection, since: datetime, before: datetime, limit: int
    ) -> tuple[int, datetime | None]:
        """Deletes the decisions of a time span that expired first, but for those that others have locked.

        Returns how many, and their latest valid_till, or None without any.

        To start where the last batch ended spares a walk over its dead rows. Rows that are locked cannot move, so they
        are deleted by their place (ctid) instead of a second search.
        """
        cursor = await connection.execute(
            """
            WITH deleted AS (
                DELETE FROM eulas.users
                WHERE ctid = ANY(ARRAY(
                    SELECT ctid FROM eulas.users
                    WHERE valid_till >= %s AND valid_till < %s
                    ORDER BY valid_till
                    LIMIT %s
                    FOR UPDATE SKIP LOCKED
                ))
                RETURNING valid_till
            )
            SELECT count(*), max(valid_till) FROM deleted
            """,
            (since, before, limit),
        )
        row = await cursor.fetchone()
        assert row is not None
        return row[0], row[1]


_SAVE: Final = """
    WITH drawn AS (
        INSERT INTO eulas.user_keys (yandex_uid)
        SELECT %(yandex_uid)s WHERE NOT EXISTS (SELECT FROM eulas.user_keys WHERE yandex_uid = %(yandex_uid)s)
        ON CONFLICT (yandex_uid) DO NOTHING
        RETURNING pseudonym
    ), keyed AS (
        SELECT pseudonym FROM eulas.user_keys WHERE yandex_uid = %(yandex_uid)s
        UNION ALL
        SELECT pseudonym FROM drawn
    ), held AS (
        SELECT eula_id, asks_since FROM eulas.agreements
        WHERE %(catalogue_version)s::bigint IS NOT NULL AND eula_id = ANY(%(eula_ids)s::text[])
        ORDER BY eula_id COLLATE "C"
        FOR KEY SHARE
    ), applied AS (
        INSERT INTO eulas.users AS stored (
            yandex_uid, eula_id, status, revision, valid_till, updated_at, created_at, catalogue_version, need_resign
        )
        SELECT %(yandex_uid)s, eula_id, status, revision, valid_till, updated_at, updated_at,
            coalesce(%(catalogue_version)s::bigint, 0),
            coalesce(%(catalogue_version)s::bigint < held.asks_since, false)
        FROM keyed, unnest(
            %(eula_ids)s::text[], %(statuses)s::eulas.status_t[], %(revisions)s::integer[],
            %(valid_till)s::timestamptz[], %(updated_at)s::timestamptz[]
        ) AS given (eula_id, status, revision, valid_till, updated_at)
        LEFT JOIN held USING (eula_id)
        ORDER BY eula_id COLLATE "C"
        ON CONFLICT (yandex_uid, eula_id) DO UPDATE SET
            status = excluded.status,
            revision = excluded.revision,
            valid_till = excluded.valid_till,
            updated_at = excluded.updated_at,
            catalogue_version = excluded.catalogue_version,
            need_resign = excluded.need_resign
        RETURNING eula_id, status, revision, valid_till, updated_at
    )
    INSERT INTO eulas.decisions_log (pseudonym, eula_id, status, revision, valid_till, decided_at, source)
    SELECT pseudonym, eula_id, status, revision, valid_till, updated_at, %(source)s
    FROM applied, keyed
    """
