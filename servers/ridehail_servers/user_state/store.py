"""The SQL of personal states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, cast

from ridehail_kernel.json_values import JsonObject
from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.json_text import decode, encode
from ridehail_servers.personal_state_backend.state import MAX_PAGE_BYTES, PersonalState, StateChange, StateCopy

_FIRST_REVISION = 1

_LIST: Final = """
    WITH {changed} page AS (
        SELECT yandex_uid, revision, selected_category, tariffs::text AS tariffs
        FROM {states}
        WHERE yandex_uid > %(after)s
        ORDER BY yandex_uid
        LIMIT %(limit)s
    )
    SELECT
        yandex_uid,
        revision,
        selected_category,
        CASE WHEN sum(octet_length(tariffs)) OVER () <= %(max_bytes)s OR count(*) OVER () = 1 THEN tariffs END
    FROM page
    ORDER BY yandex_uid
"""
_LIST_ALL: Final = _LIST.format(changed="", states="user_state.personal_states")
# The changed states are selected first, so that the index on the time of change is used: by user, all states would be
# scanned for the few that have changed.
_LIST_CHANGED: Final = _LIST.format(
    changed="""changed AS MATERIALIZED (
        SELECT yandex_uid, revision, selected_category, tariffs
        FROM user_state.personal_states
        WHERE updated_at >= %(since)s
    ),""",
    states="changed",
)


class StateStore:
    """One method per statement, each on the caller's connection and in its transaction if there is one."""

    async def states_of(self, connection: Connection, yandex_uids: Sequence[str]) -> dict[str, PersonalState]:
        """Returns the stored states by user."""
        cursor = await connection.execute(
            """
            SELECT yandex_uid, revision, selected_category, tariffs::text
            FROM user_state.personal_states
            WHERE yandex_uid = ANY(%s)
            """,
            (list(yandex_uids),),
        )
        return {uid: _state(*columns) for uid, *columns in await cursor.fetchall()}

    async def revision_of(self, connection: Connection, yandex_uid: str) -> int:
        """Returns the revision of a user's state, or 0 if there is none."""
        cursor = await connection.execute(
            "SELECT revision FROM user_state.personal_states WHERE yandex_uid = %s", (yandex_uid,)
        )
        row = await cursor.fetchone()
        return 0 if row is None else int(row[0])

    async def insert(
        self, connection: Connection, yandex_uid: str, change: StateChange, now: datetime
    ) -> PersonalState | None:
        """Stores a user's first state, or returns None if there is one already."""
        cursor = await connection.execute(
            """
            INSERT INTO user_state.personal_states (yandex_uid, revision, selected_category, tariffs, updated_at)
            VALUES (%s, %s, coalesce(%s::text, ''), %s::jsonb, %s)
            ON CONFLICT (yandex_uid) DO NOTHING
            RETURNING revision, selected_category, tariffs::text
            """,
            (yandex_uid, _FIRST_REVISION, change.selected_category, _as_text(change.tariffs), now),
        )
        row = await cursor.fetchone()
        return None if row is None else _state(*row)

    async def update(
        self, connection: Connection, yandex_uid: str, expected_revision: int, change: StateChange, now: datetime
    ) -> PersonalState | None:
        """Changes a state that is at the expected revision, or returns None if it is at another one."""
        cursor = await connection.execute(
            """
            UPDATE user_state.personal_states
            SET revision = revision + 1,
                selected_category = coalesce(%s::text, selected_category),
                tariffs = tariffs || %s::jsonb,
                updated_at = %s
            WHERE yandex_uid = %s AND revision = %s
            RETURNING revision, selected_category, tariffs::text
            """,
            (change.selected_category, _as_text(change.tariffs), now, yandex_uid, expected_revision),
        )
        row = await cursor.fetchone()
        return None if row is None else _state(*row)

    async def list_page(
        self, connection: Connection, after_yandex_uid: str, limit: int, changed_since: datetime | None
    ) -> list[StateCopy] | None:
        """See `CopyStore`."""
        cursor = await connection.execute(
            _LIST_ALL if changed_since is None else _LIST_CHANGED,
            {"after": after_yandex_uid, "limit": limit, "since": changed_since, "max_bytes": MAX_PAGE_BYTES},
        )
        return _page(await cursor.fetchall())

    async def import_newer(self, connection: Connection, copies: Sequence[StateCopy], now: datetime) -> int:
        """Stores the copies whose revision is higher than the stored one; returns how many.

        All callers lock rows in the same order, so they cannot deadlock.
        """
        ordered = sorted(copies, key=lambda copy: copy.yandex_uid)
        cursor = await connection.execute(
            """
            INSERT INTO user_state.personal_states AS stored
                (yandex_uid, revision, selected_category, tariffs, updated_at)
            SELECT yandex_uid, revision, selected_category, tariffs, %s
            FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::jsonb[])
                AS given (yandex_uid, revision, selected_category, tariffs)
            ON CONFLICT (yandex_uid) DO UPDATE SET
                revision = excluded.revision,
                selected_category = excluded.selected_category,
                tariffs = excluded.tariffs,
                updated_at = excluded.updated_at
            WHERE stored.revision < excluded.revision
            """,
            (
                now,
                [copy.yandex_uid for copy in ordered],
                [copy.state.revision for copy in ordered],
                [copy.state.selected_category for copy in ordered],
                [_as_text(copy.state.tariffs) for copy in ordered],
            ),
        )
        return cursor.rowcount


def _as_text(tariffs: Mapping[str, JsonObject]) -> str:
    return encode(dict(tariffs))


def _page(rows: Sequence[tuple[str, int, str, str | None]]) -> list[StateCopy] | None:
    page = []
    for uid, revision, selected_category, tariffs in rows:
        if tariffs is None:
            return None
        page.append(StateCopy(uid, _state(revision, selected_category, tariffs)))
    return page


def _state(revision: int, selected_category: str, tariffs: str) -> PersonalState:
    # Postgres gives the members of an object in an order of its own.
    by_category = cast("dict[str, JsonObject]", decode(tariffs))
    return PersonalState(revision, selected_category, dict(sorted(by_category.items())))
