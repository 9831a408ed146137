"""The SQL of protocol."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

from ridehail_kernel.json_values import JsonValue
from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.json_text import decode, encode
from ridehail_servers.personal_state_backend.state import MAX_PAGE_BYTES, StateCopy

from .document import Document, document_of, state_of

_LIST: Final = """
    WITH {changed} page AS (
        SELECT yandex_uid, document::text AS document
        FROM {states}
        WHERE yandex_uid > %(after)s
        ORDER BY yandex_uid
        LIMIT %(limit)s
    )
    SELECT
        yandex_uid,
        CASE WHEN sum(octet_length(document)) OVER () <= %(max_bytes)s OR count(*) OVER () = 1 THEN document END
    FROM page
    ORDER BY yandex_uid
"""
_LIST_ALL: Final = _LIST.format(changed="", states="protocol.users")
# The changed states are selected first, so that the index on the time of change is used: by user, all states would be
# scanned for the few that have changed.
_LIST_CHANGED: Final = _LIST.format(
    changed="""changed AS MATERIALIZED (
        SELECT yandex_uid, document
        FROM protocol.users
        WHERE updated_at >= %(since)s
    ),""",
    states="changed",
)


class DocumentStore:
    """One method per statement, each on the caller's connection and in its transaction if there is one."""

    async def find(self, connection: Connection, yandex_uid: str) -> Document | None:
        cursor = await connection.execute(
            "SELECT document::text FROM protocol.users WHERE yandex_uid = %s", (yandex_uid,)
        )
        row = await cursor.fetchone()
        return None if row is None else _document(row[0])

    async def insert(self, connection: Connection, yandex_uid: str, document: Document, now: datetime) -> bool:
        """Stores a user's first document; returns whether there was none."""
        cursor = await connection.execute(
            """
            INSERT INTO protocol.users (yandex_uid, document, updated_at) VALUES (%s, %s::jsonb, %s)
            ON CONFLICT (yandex_uid) DO NOTHING
            """,
            (yandex_uid, _text(document), now),
        )
        return cursor.rowcount == 1

    async def replace(
        self, connection: Connection, yandex_uid: str, expected_revision: int, document: Document, now: datetime
    ) -> bool:
        """Replaces a document that is at the expected revision; returns whether it is."""
        cursor = await connection.execute(
            """
            UPDATE protocol.users SET document = %s::jsonb, updated_at = %s
            WHERE yandex_uid = %s AND (document ->> 'revision')::bigint = %s
            """,
            (_text(document), now, yandex_uid, expected_revision),
        )
        return cursor.rowcount == 1

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
            INSERT INTO protocol.users AS stored (yandex_uid, document, updated_at)
            SELECT yandex_uid, document, %s FROM unnest(%s::text[], %s::jsonb[]) AS given (yandex_uid, document)
            ON CONFLICT (yandex_uid) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at
            WHERE (stored.document ->> 'revision')::bigint < (excluded.document ->> 'revision')::bigint
            """,
            (now, [copy.yandex_uid for copy in ordered], [_text(document_of(copy.state)) for copy in ordered]),
        )
        return cursor.rowcount


def _page(rows: Sequence[tuple[str, str | None]]) -> list[StateCopy] | None:
    page = []
    for uid, text in rows:
        if text is None:
            return None
        page.append(StateCopy(uid, state_of(_document(text))))
    return page


def _text(document: Document) -> str:
    return encode(cast("JsonValue", document))


def _document(text: str) -> Document:
    return cast("Document", decode(text))
