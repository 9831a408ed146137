"""One service's connections to Postgres.

The pool is opened and closed explicitly. Its errors become `DatabaseUnavailable` or `Overloaded` here, so that neither
domain nor store code has to know them. After a restart of Postgres the pool still holds dead connections: the first
error throws those out, and a read is repeated once on a fresh one.
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
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests
from pydantic import BaseModel, ConfigDict, Field

from ridehail_clients import call_context

from .connection_queue import ConnectionQueue
from .errors import DatabaseUnavailable, Overloaded
from .logs import get_logger

Connection = psycopg.AsyncConnection[TupleRow]
Result = TypeVar("Result")

logger = get_logger(__name__)

# Waiting for a connection may take this share of what is left of the deadline: the rest is for query and answer.
_WAIT_SHARE = 0.8
# The pool forgets a failing attempt after this many seconds and makes a new one when next asked, so that a database
# that is back is used again at once instead of after a backoff that has grown to minutes.
_RECONNECT_S = 0.5
_VANISHED_MS = 10_000


class PoolSettings(BaseModel):
    """Sizes and limits of each service's pool, per process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_size: int = Field(default=1, ge=0, le=100)
    max_size: int = Field(default=8, ge=1, le=200)
    # Seconds to wait for a connection, where the call has no shorter deadline.
    timeout_s: float = Field(default=1.0, gt=0, le=60)
    # Calls that may wait for a connection at once; one more is refused.
    max_waiting: int = Field(default=200, ge=1)
    statement_timeout_ms: int = Field(default=5_000, ge=1)
    lock_timeout_ms: int = Field(default=2_000, ge=1)


def connection_string(url: str, *, schema: str, settings: PoolSettings, application: str) -> str:
    """Returns `url` with what every connection of a service needs.

    Args:
        url: A Postgres URL or key-value string. Several hosts are allowed: the writable one is used.
        schema: The service's schema; its connections see no other by default.
        settings: Statement and lock timeouts.
        application: Shown as `application_name` in pg_stat_activity.

    Raises:
        psycopg.ProgrammingError: The URL cannot be read.
    """
    options = (
        f"-c search_path={schema} -c statement_timeout={settings.statement_timeout_ms}"
        f" -c lock_timeout={settings.lock_timeout_ms} -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
    )
    return conninfo.make_conninfo(
        url,
        options=options,
        application_name=application,
        target_session_attrs="read-write",
        connect_timeout=2,
        # A server that vanished without a word is noticed in seconds instead of the kernel's quarter of an hour.
        tcp_user_timeout=_VANISHED_MS,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
    )


class Database:
    """A service's pool of connections."""

    def __init__(self, url: str, *, schema: str, settings: PoolSettings, application: str) -> None:
        """Prepares the pool; `open` opens it.

        Args:
            url: A Postgres URL.
            schema: The service's schema.
            settings: Sizes and limits.
            application: Shown in pg_stat_activity.
        """
        self.schema = schema
        self.queue = ConnectionQueue(settings.max_size)
        self.conninfo = connection_string(url, schema=schema, settings=settings, application=application)
        self._settings = settings
        self._check: asyncio.Task[None] | None = None
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self.conninfo,
            min_size=settings.min_size,
            max_size=settings.max_size,
            timeout=settings.timeout_s,
            max_waiting=settings.max_waiting,
            reconnect_timeout=_RECONNECT_S,
            kwargs={"autocommit": True},
            name=schema,
            open=False,
        )

    async def open(self, *, timeout: float = 10.0) -> None:
        """Opens the pool and waits for its first connections.

        Args:
            timeout: Seconds to wait.

        Raises:
            DatabaseUnavailable: Postgres did not answer in time.
        """
        await self._pool.open()
        ends = time.monotonic() + timeout
        while True:
            try:
                # Each request makes the pool try again; it gives up soon when it is only waited for.
                async with self._pool.connection(timeout=_RECONNECT_S):
                    return
            except (PoolTimeout, psycopg.OperationalError) as error:
                if time.monotonic() >= ends:
                    await self._pool.close()
                    raise DatabaseUnavailable from error

    async def close(self) -> None:
        """Closes every connection; calls that wait for one fail."""
        await self._pool.close()

    def stats(self) -> dict[str, int]:
        """Returns the pool's counters, as psycopg_pool names them (`pool_size`, `requests_waiting`, ...)."""
        return self._pool.get_stats()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lends a connection in autocommit mode.

        Raises:
            DatabaseUnavailable: No connection could be had in time, or the database failed.
            Overloaded: Too many calls wait for a connection already.
        """
        use, lost = self.queue.enter(), False
        try:
            async with self._pool.connection(timeout=self._patience()) as connection:
                self.queue.lent(use)
                yield connection
        except TooManyRequests as error:
            raise Overloaded("too many calls wait for the database") from error
        except (PoolTimeout, PoolClosed) as error:
            raise DatabaseUnavailable from error
        except psycopg.OperationalError as error:
            lost = _is_lost_connection(error)
            _leave_if_cancelled(error)
            await self._discard_broken_connections(error)
            raise DatabaseUnavailable from error
        except psycopg.InterfaceError as error:
            lost = True
            raise DatabaseUnavailable from error
        finally:
            self.queue.ended(use, counts=not lost)

    @asynccontextmanager
    async def transaction(self, *, undone: bool = False) -> AsyncIterator[Connection]:
        """Lends a connection inside a transaction: committed at the end of the block, rolled back on an error.

        Args:
            undone: Whether it is rolled back in any case.

        Raises:
            DatabaseUnavailable: See `connection`. Raised at the commit, it leaves open whether the commit took place.
            Overloaded: See `connection`.
        """
        async with self.connection() as connection, connection.transaction(force_rollback=undone):
            yield connection

    async def read(self, query: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Runs a read, once more if its connection turns out to be dead.

        Args:
            query: Reads, and changes nothing.

        Raises:
            DatabaseUnavailable: Both tries failed.
            Overloaded: See `connection`.
        """
        try:
            async with self.connection() as connection:
                return await query(connection)
        except DatabaseUnavailable as error:
            if not _is_lost_connection(error.__cause__):
                raise
        async with self.connection() as connection:
            return await query(connection)

    def _patience(self) -> float:
        remaining = call_context.remaining()
        if remaining is None:
            return self._settings.timeout_s
        return max(0.001, min(self._settings.timeout_s, remaining * _WAIT_SHARE))

    async def _discard_broken_connections(self, error: psycopg.OperationalError) -> None:
        if not _is_lost_connection(error):
            return
        logger.warning("database connection lost", error=type(error).__name__)
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._check_pool())
        # Cancelled, the check would take a good connection for a broken one and go on: a caller who leaves spares it.
        await asyncio.shield(self._check)

    async def _check_pool(self) -> None:
        try:
            await self._pool.check()
        except psycopg.Error as failure:
            logger.warning("checking the pool failed", error=type(failure).__name__)


def _leave_if_cancelled(error: psycopg.OperationalError) -> None:
    """Gives a caller its cancellation back, which psycopg drops when the connection dies while it cancels the query."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def _is_lost_connection(error: BaseException | None) -> bool:
    """Tells a lost connection from a living server's answer (a timeout, a lock not got) and from a busy pool."""
    if not isinstance(error, psycopg.OperationalError) or isinstance(error, PoolTimeout | PoolClosed):
        return False
    state = error.sqlstate or ""
    # Class 57P: the server shuts down or was stopped; it closes the connection after the message.
    return not state or state.startswith(("57P", "08"))
