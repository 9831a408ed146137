"""The outbox of a phone: decisions about agreements that are still to be saved, and what was last signed, in a file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from ridehail.eulas.v1.eulas_api_pb2 import ListEulasResponse
from ridehail_clients.errors import ServiceError
from ridehail_clients.eulas.decisions import Pause, PendingDecision
from ridehail_clients.eulas.private_sqlite import PrivateSqlite
from ridehail_clients.models import Eula, EulaDecision, EulaState

# The tables keep their names and columns: the files of installed apps have them.
_SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS answers (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        account BLOB NOT NULL,
        eula_id TEXT NOT NULL,
        status TEXT NOT NULL,
        UNIQUE (account, eula_id)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS accounts (
        account BLOB PRIMARY KEY,
        failures INTEGER NOT NULL DEFAULT 0,
        paused_since REAL NOT NULL DEFAULT 0,
        pause REAL NOT NULL DEFAULT 0,
        signed BLOB,
        signed_is_outdated INTEGER NOT NULL DEFAULT 0
    )
    """,
)


class DecisionOutbox:
    """The outbox of one account. Every method is one transaction.

    Args:
        path: Of the file, which may hold many accounts. Created if missing; renamed to `<name>.damaged` if sqlite
            cannot read it.
        account: Identifies the account. The file holds only a hash of it.

    Raises:
        OSError: The file cannot be created.
        sqlite3.Error: The file cannot be used; every method raises it, too.
    """

    def __init__(self, path: Path, account: str) -> None:
        self._file = PrivateSqlite(path, _SCHEMA)
        self._account = hashlib.sha256(account.encode()).digest()

    def keep(self, decisions: Iterable[EulaDecision]) -> None:
        """Adds decisions, all or none, each in place of an earlier one about the same agreement."""
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO answers (account, eula_id, status) VALUES (?, ?, ?)",
                [(self._account, one.eula_id, str(one.status)) for one in decisions],
            )

    def unsaved(self) -> list[PendingDecision]:
        """Returns the decisions that are still to be saved, in the order in which they were made."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "SELECT number, eula_id, status FROM answers WHERE account = ? ORDER BY number", (self._account,)
            )
            return [
                PendingDecision(number, EulaDecision(eula_id, EulaState(status))) for number, eula_id, status in rows
            ]

    def drop_saved(self, batch: Sequence[PendingDecision]) -> None:
        """Drops decisions that the service has saved; newer ones about the same agreements stay."""
        with self._file.transaction() as connection:
            _drop(connection, batch)
            connection.execute(
                """
                INSERT INTO accounts (account, signed_is_outdated) VALUES (?, 1)
                ON CONFLICT (account) DO UPDATE SET signed_is_outdated = 1, failures = 0, pause = 0
                """,
                (self._account,),
            )

    def drop_refused(self, batch: Sequence[PendingDecision]) -> None:
        """Drops decisions that the service will never save; newer ones about the same agreements stay."""
        with self._file.transaction() as connection:
            _drop(connection, batch)

    def has_work(self) -> bool:
        """Returns whether decisions are still to be saved, or what is signed is to be listed after that."""
        with self._file.transaction() as connection:
            found = connection.execute(
                """
                SELECT EXISTS (SELECT 1 FROM answers WHERE account = :account)
                    OR EXISTS (SELECT 1 FROM accounts WHERE account = :account AND signed_is_outdated)
                """,
                {"account": self._account},
            ).fetchone()
            return bool(found[0])

    def pause(self) -> Pause:
        """Returns the pause after the last failed attempt, of no length if none failed."""
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT failures, paused_since, pause FROM accounts WHERE account = ?", (self._account,)
            ).fetchone()
            return Pause(*row) if row else Pause()

    def begin_pause(self, pause: Pause) -> None:
        with self._file.transaction() as connection:
            connection.execute(
                """
                INSERT INTO accounts (account, failures, paused_since, pause) VALUES (?, ?, ?, ?)
                ON CONFLICT (account) DO UPDATE
                SET failures = excluded.failures, paused_since = excluded.paused_since, pause = excluded.pause
                """,
                (self._account, pause.failures, pause.since, pause.length),
            )

    def signed(self) -> tuple[Eula, ...]:
        """Returns the agreements last listed as signed; none if they were never listed."""
        with self._file.transaction() as connection:
            row = connection.execute("SELECT signed FROM accounts WHERE account = ?", (self._account,)).fetchone()
        try:
            return _eulas_from_bytes(row[0]) if row and row[0] is not None else ()
        except (DecodeError, ServiceError):
            # Written by a release that knows more: treated as never listed.
            return ()

    def signed_is_outdated(self) -> bool:
        """Returns whether decisions were saved since what is signed was last listed."""
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT signed_is_outdated FROM accounts WHERE account = ?", (self._account,)
            ).fetchone()
            return bool(row and row[0])

    def keep_signed(self, eulas: Iterable[Eula]) -> None:
        """Replaces the agreements last listed as signed."""
        with self._file.transaction() as connection:
            connection.execute(
                """
                INSERT INTO accounts (account, signed) VALUES (?, ?)
                ON CONFLICT (account) DO UPDATE
                SET signed = excluded.signed, signed_is_outdated = 0, failures = 0, pause = 0
                """,
                (self._account, _eulas_to_bytes(eulas)),
            )

    def try_lock(self) -> sqlite3.Connection | None:
        """Keeps every other sender of the file out, see `PrivateSqlite.try_lock`."""
        return self._file.try_lock()


def _drop(connection: sqlite3.Connection, batch: Sequence[PendingDecision]) -> None:
    connection.executemany("DELETE FROM answers WHERE number = ?", [(one.number,) for one in batch])


def _eulas_to_bytes(eulas: Iterable[Eula]) -> bytes:
    # As a message, which a later release can read.
    return ListEulasResponse(eulas=[one.to_message() for one in eulas]).SerializeToString()


def _eulas_from_bytes(written: bytes) -> tuple[Eula, ...]:
    return tuple(Eula.from_message(one) for one in ListEulasResponse.FromString(written).eulas)
