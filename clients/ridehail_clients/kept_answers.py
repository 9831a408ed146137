"""The answers to agreements that a phone has yet to save, and the agreements it knows as signed, in a file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from ridehail.eulas.v1.eulas_api_pb2 import ListEulasResponse
from ridehail_clients.errors import ServiceError
from ridehail_clients.eula_answers import KeptAnswer, Pause
from ridehail_clients.models import Eula, EulaDecision, EulaState
from ridehail_clients.private_sqlite import PrivateSqlite

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


class KeptAnswers:
    """What is kept of one account. Every method is one transaction.

    Args:
        path: Of the file, which may hold many accounts. It is made where there is none, and set aside as
            `<name>.damaged` where sqlite cannot read it.
        account: Tells the accounts apart. The file holds a hash of it only.

    Raises:
        OSError: The file cannot be made.
        sqlite3.Error: The file cannot be used. So does every method.
    """

    def __init__(self, path: Path, account: str) -> None:
        self._file = PrivateSqlite(path, _SCHEMA)
        self._account = hashlib.sha256(account.encode()).digest()

    def keep(self, decisions: Iterable[EulaDecision]) -> None:
        """Keeps answers, all or none, each in place of an earlier one to the same agreement.

        Args:
            decisions: In the order in which they were given.
        """
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO answers (account, eula_id, status) VALUES (?, ?, ?)",
                [(self._account, one.eula_id, str(one.status)) for one in decisions],
            )

    def unsaved(self) -> list[KeptAnswer]:
        """Returns the answers that are still to be saved, in the order in which they were given."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "SELECT number, eula_id, status FROM answers WHERE account = ? ORDER BY number", (self._account,)
            )
            return [KeptAnswer(number, EulaDecision(eula_id, EulaState(status))) for number, eula_id, status in rows]

    def saved(self, answers: Sequence[KeptAnswer]) -> None:
        """Drops answers that the service has taken; newer ones to the same agreements stay.

        Args:
            answers: As they were sent.
        """
        with self._file.transaction() as connection:
            _drop(connection, answers)
            connection.execute(
                """
                INSERT INTO accounts (account, signed_is_outdated) VALUES (?, 1)
                ON CONFLICT (account) DO UPDATE SET signed_is_outdated = 1, failures = 0, pause = 0
                """,
                (self._account,),
            )

    def refused(self, answers: Sequence[KeptAnswer]) -> None:
        """Drops answers that the service will never take; newer ones to the same agreements stay.

        Args:
            answers: As they were sent.
        """
        with self._file.transaction() as connection:
            _drop(connection, answers)

    def has_work(self) -> bool:
        """Tells whether answers are still to be saved, or what is signed is to be listed after that."""
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
        """Returns the pause after the last failed attempt; of no length when none failed."""
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT failures, paused_since, pause FROM accounts WHERE account = ?", (self._account,)
            ).fetchone()
            return Pause(*row) if row else Pause()

    def begin_pause(self, pause: Pause) -> None:
        """Remembers that an attempt failed.

        Args:
            pause: How long nothing is to be sent.
        """
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
        """Returns the agreements last known as signed; none when they were never listed."""
        with self._file.transaction() as connection:
            row = connection.execute("SELECT signed FROM accounts WHERE account = ?", (self._account,)).fetchone()
        try:
            return _eulas_from_bytes(row[0]) if row and row[0] is not None else ()
        except (DecodeError, ServiceError):
            # Written by a release that knows more: not known is what it was before the first listing, too.
            return ()

    def signed_is_outdated(self) -> bool:
        """Tells whether answers were saved since what is signed was last listed."""
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT signed_is_outdated FROM accounts WHERE account = ?", (self._account,)
            ).fetchone()
            return bool(row and row[0])

    def keep_signed(self, eulas: Iterable[Eula]) -> None:
        """Keeps what is signed in place of what was known before.

        Args:
            eulas: As the service listed them just now.
        """
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
        """Locks out every other sender of the file, see `PrivateSqlite.try_lock`."""
        return self._file.try_lock()


def _drop(connection: sqlite3.Connection, answers: Sequence[KeptAnswer]) -> None:
    connection.executemany("DELETE FROM answers WHERE number = ?", [(answer.number,) for answer in answers])


def _eulas_to_bytes(eulas: Iterable[Eula]) -> bytes:
    # As a message, which a later release can read.
    return ListEulasResponse(eulas=[one.to_message() for one in eulas]).SerializeToString()


def _eulas_from_bytes(written: bytes) -> tuple[Eula, ...]:
    return tuple(Eula.from_message(one) for one in ListEulasResponse.FromString(written).eulas)
