"""The SQL that gives entries of the log the pseudonyms of their users."""

from __future__ import annotations

from ridehail_servers.chassis.database import Connection


class LogStore:
    async def pseudonymize(self, connection: Connection, limit: int) -> int:
        """Replaces the accounts in entries of earlier releases by pseudonyms; returns in how many.

        Entries that others have locked are skipped. Users' pseudonyms are drawn in the order in which imports do it.
        """
        cursor = await connection.execute(
            """
            WITH named AS MATERIALIZED (
                SELECT decision_id, yandex_uid FROM eulas.decisions_log
                WHERE yandex_uid IS NOT NULL
                ORDER BY yandex_uid, eula_id, decision_id
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ), keyed AS (
                INSERT INTO eulas.user_keys (yandex_uid)
                SELECT DISTINCT yandex_uid COLLATE "C" FROM named ORDER BY yandex_uid COLLATE "C"
                ON CONFLICT (yandex_uid) DO UPDATE SET yandex_uid = excluded.yandex_uid
                RETURNING yandex_uid, pseudonym
            )
            UPDATE eulas.decisions_log AS log SET yandex_uid = NULL, pseudonym = keyed.pseudonym
            FROM named JOIN keyed ON keyed.yandex_uid = named.yandex_uid
            WHERE log.decision_id = named.decision_id
            """,
            (limit,),
        )
        return cursor.rowcount
