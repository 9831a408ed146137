"""The SQL of agreements and of their history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from ridehail_servers.chassis.database import Connection
from ridehail_servers.eulas.catalogue_store import CHANNEL
from ridehail_servers.eulas.eula_catalogue import Eula

from .agreement_rules import Agreement
from .eula_change import AgreementChange, Author, ChangeKind, StoredAgreement

_LOCK = "eulas catalogue"


class PastChange(NamedTuple):
    """A change of the history; `asks_again` and `base_version` as in `AgreementChange`."""

    version: int
    agreement: Agreement
    kind: ChangeKind
    author: Author
    changed_at: datetime
    base_version: int
    asks_again: bool


class AdminStore:
    """One method per statement, each on the caller's connection, in its transaction if there is one."""

    async def lock_catalogue(self, connection: Connection) -> int:
        """Makes this transaction the only one that changes agreements; returns the number of the latest change."""
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (_LOCK,))
        # A statement of its own: the one that waits for the lock does not see what others did meanwhile.
        cursor = await connection.execute("SELECT coalesce(max(version), 0) FROM eulas.agreement_changes")
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def lock_agreements(self, connection: Connection, eula_ids: Sequence[str]) -> list[StoredAgreement]:
        """Returns those of the agreements that there are, and lets no save of a decision on them begin.

        It waits for saves that have begun.
        """
        cursor = await connection.execute(
            """
            SELECT position, content, version, base_version, asks_since, kind, source, actor, changed_at
            FROM eulas.agreements
            WHERE eula_id = ANY(%s)
            ORDER BY eula_id COLLATE "C"
            FOR UPDATE
            """,
            (list(eula_ids),),
        )
        return [_stored(row) for row in await cursor.fetchall()]

    async def find(self, connection: Connection, eula_id: str) -> StoredAgreement | None:
        """Returns an agreement, in force or withdrawn, or None."""
        cursor = await connection.execute(
            """
            SELECT position, content, version, base_version, asks_since, kind, source, actor, changed_at
            FROM eulas.agreements
            WHERE eula_id = %s
            """,
            (eula_id,),
        )
        row = await cursor.fetchone()
        return None if row is None else _stored(row)

    async def list_page(
        self, connection: Connection, after_eula_id: str, limit: int, *, with_withdrawn: bool
    ) -> list[StoredAgreement]:
        """Returns agreements by id, from the first after the given one."""
        cursor = await connection.execute(
            """
            SELECT position, content, version, base_version, asks_since, kind, source, actor, changed_at
            FROM eulas.agreements
            WHERE eula_id > %s AND (%s OR kind <> 'withdrawn')
            ORDER BY eula_id
            LIMIT %s
            """,
            (after_eula_id, with_withdrawn, limit),
        )
        return [_stored(row) for row in await cursor.fetchall()]

    async def all_agreements(self, connection: Connection) -> list[StoredAgreement]:
        """Returns all agreements, in force and withdrawn."""
        cursor = await connection.execute(
            """
            SELECT position, content, version, base_version, asks_since, kind, source, actor, changed_at
            FROM eulas.agreements
            """
        )
        return [_stored(row) for row in await cursor.fetchall()]

    async def last_position(self, connection: Connection) -> int:
        """Returns the highest position of an agreement, or 0 without any."""
        cursor = await connection.execute("SELECT coalesce(max(position), 0) FROM eulas.agreements")
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def save(
        self, connection: Connection, version: int, change: AgreementChange, author: Author, now: datetime
    ) -> StoredAgreement:
        """Stores a change as the given number, in the history and as what the agreement says; returns that."""
        eula, position = change.agreement
        content = Jsonb(eula.model_dump(mode="json"))
        cursor = await connection.execute(
            """
            WITH change AS (
                INSERT INTO eulas.agreement_changes (
                    version, eula_id, kind, position, content, base_version, asks_again, source, actor, changed_at
                )
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                RETURNING *
            )
            INSERT INTO eulas.agreements AS stored (
                eula_id, kind, position, content, version, base_version, asks_since, source, actor, changed_at
            )
            SELECT eula_id, kind, position, content, version, base_version, 0, source, actor, changed_at
            FROM change
            ON CONFLICT (eula_id) DO UPDATE SET
                kind = excluded.kind,
                position = excluded.position,
                content = excluded.content,
                version = excluded.version,
                base_version = excluded.base_version,
                asks_since = CASE WHEN %s THEN excluded.version ELSE stored.asks_since END,
                source = excluded.source,
                actor = excluded.actor,
                changed_at = excluded.changed_at
            RETURNING asks_since
            """,
            (
                version,
                eula.eula_id,
                change.kind.value,
                position,
                content,
                change.base_version,
                change.asks_again,
                author.source,
                author.actor,
                now,
                change.asks_again,
            ),
        )
        row = await cursor.fetchone()
        assert row is not None
        return StoredAgreement(change.agreement, version, change.base_version, row[0], change.kind, author, now)

    async def notify(self, connection: Connection) -> None:
        """Notifies every process that agreements have changed, once the transaction is committed."""
        await connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))

    async def history(self, connection: Connection, before_version: int, limit: int) -> list[PastChange]:
        """Returns changes of all agreements before the one with the given number, the latest first."""
        cursor = await connection.execute(
            """
            SELECT version, position, content, kind, source, actor, changed_at, base_version, asks_again
            FROM eulas.agreement_changes
            WHERE version < %s
            ORDER BY version DESC
            LIMIT %s
            """,
            (before_version, limit),
        )
        return [_past_change(row) for row in await cursor.fetchall()]

    async def history_of(
        self, connection: Connection, eula_id: str, before_version: int, limit: int
    ) -> list[PastChange]:
        """Returns changes of one agreement before the one with the given number, the latest first."""
        cursor = await connection.execute(
            """
            SELECT version, position, content, kind, source, actor, changed_at, base_version, asks_again
            FROM eulas.agreement_changes
            WHERE eula_id = %s AND version < %s
            ORDER BY version DESC
            LIMIT %s
            """,
            (eula_id, before_version, limit),
        )
        return [_past_change(row) for row in await cursor.fetchall()]


def _stored(row: Sequence[Any]) -> StoredAgreement:
    position, content, version, base_version, asks_since, kind, source, actor, changed_at = row
    return StoredAgreement(
        agreement=Agreement(Eula.model_validate(content), position),
        version=version,
        base_version=base_version,
        asks_since=asks_since,
        kind=ChangeKind(kind),
        author=Author(source, actor),
        changed_at=changed_at,
    )


def _past_change(row: Sequence[Any]) -> PastChange:
    version, position, content, kind, source, actor, changed_at, base_version, asks_again = row
    return PastChange(
        version,
        Agreement(Eula.model_validate(content), position),
        ChangeKind(kind),
        Author(source, actor),
        changed_at,
        base_version,
        asks_again,
    )
