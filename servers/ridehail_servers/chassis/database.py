"""One service's connections to Postgres.

They are opened and closed explicitly. Errors of the database become `DatabaseUnavailable` or `Overloaded` here, so that
neither domain nor store code has to know them. After an error of a lost connection the others are checked,
and a read is repeated once on another one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
from psycopg import conninfo
from psycopg.rows import TupleRow

from ridehail_kernel.deadline_budget import share_of_remaining

from .connection_load import ConnectionLoad
from .connection_pool import ConnectionPool
from .database_connection import BoundedConnection
from .errors import DatabaseUnavailable
from .logs import get_logger
from .schema_version import SchemaOutdated, check_schema
from .settings import PoolSettings

Connection = psycopg.AsyncConnection[TupleRow]
Result = TypeVar("Result")

logger = get_logger(__name__)

# What was sent to a server that vanished without a word is given up after this long instead of a quarter of an hour.
_VANISHED_MS = 6_000
_HANGS_S = 1.0
# psycopg's own default.
_PREPARED_AFTER = 5


def session_settings(schema: str, settings: PoolSettings) -> dict[str, str]:
    """Returns the Postgres settings of a service's sessions, which see no other schema by default."""
    return {
        "search_path": schema,
        "statement_timeout": str(settings.statement_timeout_ms),
        "lock_timeout": str(settings.lock_timeout_ms),
        "idle_in_transaction_session_timeout": "30000",
        "timezone": "UTC",
        # A statement whose client has closed the connection, or was killed, ends soon after.
        "client_connection_check_interval": "250",
    }


def connection_string(url: str, *, schema: str, settings: PoolSettings, application: str) -> str:
    """Returns `url` with what every connection of a service needs.

    Of several hosts the writable one is used. Raises `psycopg.ProgrammingError` if the URL cannot be read.
    """
    options = " ".join(f"-c {name}={value}" for name, value in session_settings(schema, settings).items())
    return conninfo.make_conninfo(
        url,
        options=options,
        application_name=application,
        target_session_attrs="read-write",
        connect_timeout=2,
        tcp_user_timeout=_VANISHED_MS,
        keepalives_idle=3,
        keepalives_interval=1,
        keepalives_count=3,
    )


class Database:
    def __init__(
        self,
        url: str,
        *,
        schema: str,
        settings: PoolSettings,
        application: str,
        migrations: frozenset[str] = frozenset(),
    ) -> None:
        """Prepares connections; a database whose schema lacks one of the `migrations` counts as one that is away."""
        self.schema = schema
        self.load = ConnectionLoad(settings.max_size)
        self.conninfo = connection_string(url, schema=schema, settings=settings, application=application)
        # The server ends a statement after its timeout. One that has not done so this much later hangs.
        self.max_statement_s = settings.statement_timeout_ms / 1000 + _HANGS_S
        self.shared_read_s = settings.shared_read_timeout_ms / 1000
        self._settings = settings
        # What the schema has to have; empty once it was seen to.
        self._migrations = migrations
        self._pool = ConnectionPool(
            self.connect,
            service=application,
            min_size=settings.min_size,
            max_size=settings.max_size,
            max_waiting=settings.max_waiting,
        )

    @property
    def reachable(self) -> bool:
        """Whether there is a connection, or no reason to doubt that one can be made."""
        return self._pool.unreachable_since is None

    @property
    def unreachable_s(self) -> float:
        """For how many seconds the database has been known to be unreachable; 0 while it is reachable."""
        since = self._pool.unreachable_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def not_ready(self) -> str | None:
        """Why the database has never been of use to this process so far; None once it was."""
        if self._pool.was_reached:
            return None
        if isinstance(self._pool.failure, SchemaOutdated):
            return str(self._pool.failure)
        return f"the database of schema {self.schema} cannot be reached"

    def start(self) -> None:
        """Opens the pool without waiting for a connection: attempts go on until there is one."""
        self._pool.start()

    async def wait_for_first_attempt(self) -> None:
        """Returns once there is a connection, or none could be made so far."""
        await self._pool.attempted.wait()

    async def open(self, *, timeout: float = 10.0) -> None:
        """Opens the pool; raises `DatabaseUnavailable` if there is no connection within `timeout` seconds."""
        await self._pool.open(timeout)

    async def close(self) -> None:
        """Closes every connection; calls that wait for one fail."""
        await self._pool.close()

    async def connect(self) -> BoundedConnection:
        """Makes a connection outside the pool, in autocommit mode, which the caller closes.

        Raises:
            psycopg.OperationalError: No server can be reached, or none that accepts writes.
            SchemaOutdated: The schema lacks migrations.
        """
        connection = await BoundedConnection.connect(
            self.conninfo,
            autocommit=True,
            prepare_threshold=_PREPARED_AFTER if self._settings.prepared_statements else None,
        )
        connection.max_statement_s = self.max_statement_s
        if self._migrations:
            try:
                await check_schema(connection, self.schema, self._migrations)
            except BaseException:
                connection.discard()
                raise
            self._migrations = frozenset()
        return connection

    def stats(self) -> dict[str, int]:
        return self._pool.stats()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lends a connection in autocommit mode.

        Raises:
            DatabaseUnavailable: No connection can be made, or the database failed.
            Overloaded: All connections are in use, and too many calls wait, or none became free in time.
        """
        use, completed = self.load.enter(), False
        try:
            connection = await self._pool.lend(self._timeout())
        except BaseException:
            self.load.ended(use)
            raise
        self.load.lent(use)
        try:
            yield connection
            completed = True
        except psycopg.errors.ReadOnlySqlTransaction as error:
            # The server has become a standby, or somebody has taken it out of use.
            connection.discard()
            self._check_others(error)
            raise DatabaseUnavailable from error
        except psycopg.errors.StatementCompletionUnknown as error:
            logger.warning("commit not confirmed by a standby", service=self.schema)
            raise DatabaseUnavailable from error
        except psycopg.OperationalError as error:
            _leave_if_cancelled(error)
            if _is_lost_connection(error):
                self._check_others(error)
                raise _ConnectionLost from error
            raise DatabaseUnavailable from error
        except psycopg.InterfaceError as error:
            raise DatabaseUnavailable from error
        finally:
            self._pool.give_back(connection)
            self.load.ended(use, completed=completed)

    @asynccontextmanager
    async def transaction(self, *, dry_run: bool = False) -> AsyncIterator[Connection]:
        """Lends a connection inside a transaction: rolled back on an error or in a dry run, else committed.

        Raises:
            DatabaseUnavailable: See `connection`. Raised at the commit, it leaves open whether the commit took place.
            Overloaded: See `connection`.
        """
        async with self.connection() as connection, connection.transaction(force_rollback=dry_run):
            yield connection

    async def read(self, query: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Runs a query that changes nothing, once more if its connection turns out to be dead.

        Raises:
            DatabaseUnavailable: Both tries failed.
            Overloaded: See `connection`.
        """
        try:
            async with self.connection() as connection:
                return await query(connection)
        except _ConnectionLost:
            async with self.connection() as connection:
                return await query(connection)

    def _timeout(self) -> float:
        # The rest is for the query and the response.
        return max(0.001, share_of_remaining(at_most=self._settings.timeout_s))

    def _check_others(self, error: psycopg.Error) -> None:
        logger.warning("database connection lost", error=type(error).__name__)
        self._pool.check_idle()


class _ConnectionLost(DatabaseUnavailable):
    """The connection broke while it was used."""


def _leave_if_cancelled(error: psycopg.OperationalError) -> None:
    """Raises the caller's cancellation, which psycopg drops when the connection dies while it cancels the query."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def _is_lost_connection(error: psycopg.OperationalError) -> bool:
    """Tells a lost connection from an error of a living server (a timeout, a lock not got)."""
    state = error.sqlstate or ""
    # Class 57P: the server shuts down or was stopped; it closes the connection after the message.
    return not state or state.startswith(("57P", "08"))
