"""A small sqlite file that only its owner may read, shared by threads and processes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

_MODE: Final = 0o600
_BUSY_S: Final = 10.0
_UNREADABLE: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
# Closing a file drops all locks of the process on it (POSIX), those of sqlite in another thread included. So a file is
# created before any thread can have it open in sqlite.
_MAKING: Final = threading.Lock()


class PrivateSqlite:
    """The file, of mode 0600, and beside it an empty one, `<name>.lock`, that is locked while decisions are sent.

    No connection outlives a call: a process may fork, be frozen or be killed between any two.

    Args:
        path: Of the file. Its folder exists.
        schema: Statements that create the tables, each harmless if its table exists.

    Raises:
        OSError: The file cannot be created.
        sqlite3.Error: The file cannot be used.
    """

    def __init__(self, path: Path, schema: tuple[str, ...]) -> None:
        self._path = path
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._schema = schema
        _make(path)
        path.chmod(_MODE)
        if self._is_damaged():
            self._set_aside()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Makes the block one transaction, which is on the disk when the block ends.

        Raises:
            sqlite3.Error: The file cannot be used: nothing of the block was done.
        """
        _make(self._path)
        with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as connection:
            # Without it the last transaction could come undone by a power cut.
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("BEGIN IMMEDIATE")
            for statement in self._schema:
                connection.execute(statement)
            # A block that raises leaves the transaction open: closing the connection undoes it.
            yield connection
            connection.execute("COMMIT")

    def try_lock(self, *, timeout: float = 0.0) -> sqlite3.Connection | None:
        """Locks out all others that ask for the lock, until the returned connection is closed or its process ends.

        Args:
            timeout: Seconds to wait for the lock.

        Returns:
            What holds the lock, or None if another has it.
        """
        _make(self._lock_path)
        connection = sqlite3.connect(self._lock_path, timeout=timeout, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return None
        return connection

    def _is_damaged(self) -> bool:
        try:
            with self.transaction() as connection:
                return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _UNREADABLE:
                raise
            return True

    def _set_aside(self) -> None:
        """Renames the file, so that a new one is created: kept as it is, it could never store a decision again."""
        lock = self.try_lock(timeout=_BUSY_S)
        if lock is None:
            raise sqlite3.OperationalError(f"{self._path} is damaged, and another process holds its lock")
        with closing(lock):
            # Another process may have set it aside in the meantime.
            if not self._is_damaged():
                return
            aside = f"{self._path}.damaged"
            # Its journal would be played into the new file.
            with suppress(FileNotFoundError):
                Path(f"{self._path}-journal").replace(f"{aside}-journal")
            self._path.replace(aside)


def _make(path: Path) -> None:
    with _MAKING, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE))
