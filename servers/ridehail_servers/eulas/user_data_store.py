"""What eulas keeps of users.

The log of decisions keeps its entries as the proof that somebody decided: it names users by pseudonyms, and nobody
knows whose one is once its row in `user_keys` is deleted. Entries that still have the account get the pseudonym first.
"""

from __future__ import annotations

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows

_SHOWN = ("eula_id", "status", "revision", "valid_till", "decided_at", "source")


class EulasUserData(UserDataStore):
    rows = (
        UserRows(
            kind="named_log_entry",
            table="eulas.decisions_log",
            found_by="yandex_uid = %(yandex_uid)s",
            key="lpad(decision_id::text, 19, '0')",
            shown=_SHOWN,
            erase="""
                WITH named AS (
                    SELECT decision_id FROM eulas.decisions_log
                    WHERE yandex_uid = %(yandex_uid)s LIMIT %(limit)s FOR UPDATE
                ), keyed AS (
                    INSERT INTO eulas.user_keys (yandex_uid) SELECT %(yandex_uid)s WHERE EXISTS (SELECT FROM named)
                    ON CONFLICT (yandex_uid) DO UPDATE SET yandex_uid = excluded.yandex_uid
                    RETURNING pseudonym
                )
                UPDATE eulas.decisions_log AS log SET yandex_uid = NULL, pseudonym = keyed.pseudonym
                FROM named, keyed
                WHERE log.decision_id = named.decision_id
                """,
        ),
        UserRows(
            kind="log_entry",
            table="eulas.decisions_log",
            found_by="pseudonym = (SELECT pseudonym FROM eulas.user_keys WHERE yandex_uid = %(yandex_uid)s)",
            key="lpad(decision_id::text, 19, '0')",
            shown=_SHOWN,
            erase="",
        ),
        UserRows(kind="pseudonym", table="eulas.user_keys", found_by="yandex_uid = %(yandex_uid)s"),
        UserRows(
            kind="decision",
            table="eulas.users",
            found_by="yandex_uid = %(yandex_uid)s",
            key="eula_id",
            shown=("eula_id", "status", "revision", "valid_till", "need_resign", "created_at", "updated_at"),
        ),
    )
    not_of_users = {  # read only
        "agreements": "what agreements say, and which member of staff wrote it",
        "agreement_changes": "what agreements said, and which member of staff wrote it",
        "resign_runs": "counts; the user whom a run has come to is there only while it runs",
    }
