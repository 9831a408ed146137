"""The SQL of the import."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from ridehail_servers.chassis.database import Connection

from .decision import Decision

SOURCE = "import"
"""The source of imported decisions."""

_STATEMENTS = (
    """
    CREATE TEMPORARY TABLE IF NOT EXISTS imported (
        yandex_uid text           NOT NULL,
        eula_id    text           NOT NULL,
        status     eulas.status_t NOT NULL,
        revision   integer        NOT NULL,
        valid_till timestamptz    NOT NULL,
        updated_at timestamptz    NOT NULL
    ) ON COMMIT DELETE ROWS
    """,
    "COPY pg_temp.imported (yandex_uid, eula_id, status, revision, valid_till, updated_at) FROM STDIN",
    # Before the decisions, so that the next statement sees the pseudonym of every user.
    """
    INSERT INTO eulas.user_keys (yandex_uid)
    SELECT DISTINCT yandex_uid COLLATE "C" FROM pg_temp.imported ORDER BY yandex_uid COLLATE "C"
    ON CONFLICT (yandex_uid) DO NOTHING
    """,
    # The log is read beside the state, since it holds purged decisions too; by a sub-select per row, because the
    # planner may read all of it when it is joined. As in EulasStore.save each row is locked before its entry draws its
    # number, and rows are locked in the order of code points, so that neither saves nor other imports wait for this one
    # in a circle. What another transaction saves after the statement began appears as a conflict.
    """
    WITH applied AS (
        INSERT INTO eulas.users AS stored (
            yandex_uid, eula_id, status, revision, valid_till, updated_at, created_at
        )
        SELECT yandex_uid, eula_id, status, revision, valid_till, updated_at, updated_at
        FROM pg_temp.imported AS given
        WHERE (
            SELECT true FROM eulas.decisions AS log
            WHERE log.yandex_uid = given.yandex_uid AND log.eula_id = given.eula_id
                AND log.decided_at >= given.updated_at
            LIMIT 1
        ) IS NULL
        ORDER BY yandex_uid COLLATE "C", eula_id COLLATE "C"
        ON CONFLICT (yandex_uid, eula_id) DO UPDATE SET
            status = excluded.status,
            revision = excluded.revision,
            valid_till = excluded.valid_till,
            updated_at = excluded.updated_at
        WHERE stored.updated_at < excluded.updated_at
        RETURNING yandex_uid, eula_id, status, revision, valid_till, updated_at
    )
    INSERT INTO eulas.decisions_log (pseudonym, eula_id, status, revision, valid_till, decided_at, source)
    SELECT
        -- Of a user who has just been erased there is none.
        coalesce(
            (SELECT pseudonym FROM eulas.user_keys WHERE user_keys.yandex_uid = applied.yandex_uid), gen_random_uuid()
        ),
        eula_id, status, revision, valid_till, updated_at, %s
    FROM applied
    """,
)


class RowsRefused(Exception):
    """Postgres refused rows; the message names the kind of its error, whose own text has the values in it."""


class ImportStore:
    """Stores decisions of many users at once."""

    async def save_newer(self, connection: Connection, decisions: Mapping[tuple[str, str], Decision]) -> int:
        """Stores and logs the decisions, by user and agreement, that are newer than every known one; returns how many.

        Raises:
            RowsRefused: See the class; nothing is stored.
        """
        try:
            return await self._save_newer(connection, decisions)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise RowsRefused(type(error).__name__) from None

    async def _save_newer(self, connection: Connection, decisions: Mapping[tuple[str, str], Decision]) -> int:
        make_table, copy_in, draw_pseudonyms, apply = _STATEMENTS
        await connection.execute(make_table)
        async with connection.cursor() as cursor:
            async with cursor.copy(copy_in) as copy:
                for (yandex_uid, eula_id), one in decisions.items():
                    await copy.write_row(
                        (yandex_uid, eula_id, one.status.value, one.revision, one.valid_till, one.updated_at)
                    )
            await cursor.execute(draw_pseudonyms, prepare=False)
            # A prepared plan would be that of the small tables that the import began with.
            await cursor.execute(apply, (SOURCE,), prepare=False)
            return cursor.rowcount
