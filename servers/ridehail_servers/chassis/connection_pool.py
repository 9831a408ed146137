"""The connections of one service to Postgres, and the calls that wait for one.

psycopg_pool is not used, because under faults it loses connections and calls: calls that have given up stay in its
queue and count against `max_waiting`, a return can be cancelled halfway, nobody connects any more once its attempts are
used up, and waiting calls cannot be failed when the database is lost. Here no step that changes the pool's state awaits
anything, so none can be interrupted.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from psycopg.pq import TransactionStatus

from .background import cancelled, keep_running
from .connection_waiters import ConnectionWaiters
from .database_connection import BoundedConnection
from .errors import DatabaseUnavailable, Overloaded
from .logs import get_logger
from .metrics import CONNECTIONS_RECLAIMED

logger = get_logger(__name__)

_MAX_CONNECTING = 3
# Attempts to reach a lost database: the first after this long, each later one after twice as long, up to the maximum.
_FIRST_RETRY_S = 0.05
_MAX_RETRY_S = 0.5
# While other connections work, a failed attempt is repeated after this long.
_GROW_AGAIN_S = 0.5
# Connections that nobody uses are checked this often, each for so many seconds at most.
_CHECK_INTERVAL_S = 3.0
_CHECK_S = 2.0
_ROLLBACK_S = 1.0
_MAX_LIFETIME_S = 3600.0
_MAX_IDLE_S = 600.0


class ConnectionPool:
    """Lends connections to tasks.

    `unreachable_since` is when the last connection was lost and no new one could be made, on the clock of
    `time.monotonic`; None while the database is reachable, as far as is known.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[BoundedConnection]],
        *,
        service: str,
        min_size: int,
        max_size: int,
        max_waiting: int,
    ) -> None:
        """Creates an empty pool of `min_size` to `max_size` connections; at most `max_waiting` calls wait for one."""
        self.unreachable_since: float | None = None
        self._connect = connect
        self._service = service
        self._min_size, self._max_size, self._max_waiting = min_size, max_size, max_waiting
        self._idle: deque[BoundedConnection] = deque()  # the one used last is at the right
        # Lent connections, each with the task that uses it.
        self._busy: dict[BoundedConnection, asyncio.Task[Any]] = {}
        self._connecting = 0
        self._waiters = ConnectionWaiters(timed_out=self._timed_out, take_back=self.give_back)
        self.failure: Exception | None = None  # why the last attempt failed, until a connection proves to work
        self.attempted = asyncio.Event()  # set by the first attempt, however it ended
        self._logged: str | None = None  # the kind of failure that was logged last
        self._grow_not_before = 0.0
        self._reached = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = True

    @property
    def was_reached(self) -> bool:
        """Whether there has ever been a connection."""
        return self._reached.is_set()

    @property
    def size(self) -> int:
        return len(self._idle) + len(self._busy) + self._connecting

    def stats(self) -> dict[str, int]:
        """Returns the numbers of connections (all, idle, being made) and of waiting calls."""
        return {
            "pool_size": self.size,
            "pool_available": len(self._idle),
            "pool_connecting": self._connecting,
            "requests_waiting": len(self._waiters),
        }

    def start(self) -> None:
        """Begins to connect; attempts go on until there is a connection."""
        self._closed = False
        self._start_connecting()
        self._start(keep_running("check of database connections", self._watch))

    async def open(self, timeout: float) -> None:
        """Connects; raises `DatabaseUnavailable` if there is no connection within `timeout` seconds."""
        self.start()
        try:
            await asyncio.wait_for(self._reached.wait(), timeout)
        except TimeoutError:
            await self.close()
            raise DatabaseUnavailable from self.failure

    async def close(self) -> None:
        """Closes every connection, lent ones when they are given back; calls that wait for one fail."""
        self._closed = True
        for task in tuple(self._tasks):
            await cancelled(task)
        self._waiters.fail(self._unavailable)
        while self._idle:
            self._idle.pop().discard()

    async def lend(self, timeout: float) -> BoundedConnection:
        """Returns a connection, which has to be given back, within `timeout` seconds.

        Raises:
            DatabaseUnavailable: No connection can be made.
            Overloaded: All connections are in use, and too many calls wait, or none was given back in time.
        """
        task = asyncio.current_task()
        assert task is not None
        while self._idle:
            connection = self._idle.pop()
            if connection.seems_alive():
                self._busy[connection] = task
                return connection
            self._drop(connection)
        if self._closed or self.unreachable_since is not None:
            raise DatabaseUnavailable from self.failure
        if len(self._waiters) >= self._max_waiting:
            raise Overloaded("too many calls wait for the database")
        waiting = self._waiters.wait(task, timeout)
        asyncio.get_running_loop().call_soon(self._grow)  # once it waits
        return await waiting

    def give_back(self, connection: BoundedConnection) -> None:
        """Takes a lent connection back, in any state. Never waits, so nothing can interrupt it."""
        if connection not in self._busy:
            return  # it was reclaimed
        if self._closed or connection.closed or connection.is_read_only() or connection.expires_at <= time.monotonic():
            self._drop(connection)
        elif connection.pgconn.transaction_status == TransactionStatus.IDLE:
            connection.used_at = time.monotonic()
            self.failure = None
            self._offer(connection)
        else:
            self._use(connection, connection.make_idle(_ROLLBACK_S))

    def check_idle(self, *, unused_s: float = 0.0) -> None:
        """Starts to check connections unused for `unused_s`: whether the server responds and accepts writes."""
        used_before = time.monotonic() - unused_s
        for connection in [it for it in self._idle if it.used_at <= used_before]:
            self._idle.remove(connection)
            self._use(connection, connection.check(_CHECK_S))

    def _timed_out(self) -> Exception:
        used_by_calls = any(task not in self._tasks for task in self._busy.values())
        if self.failure is not None or not used_by_calls:
            return self._unavailable()
        return Overloaded("no connection to the database became free in time")

    def _offer(self, connection: BoundedConnection) -> None:
        """Hands a connection to the call that has waited longest, or keeps it for the next one."""
        task = self._waiters.hand(connection)
        if task is not None:
            self._busy[connection] = task
        else:
            self._busy.pop(connection, None)
            self._idle.append(connection)

    def _drop(self, connection: BoundedConnection) -> None:
        """Closes a connection, and makes another one where one is needed."""
        self._busy.pop(connection, None)
        connection.discard()
        self._grow()

    # --- making connections

    def _grow(self) -> None:
        """Starts to make the missing connections."""
        if self._closed or self.unreachable_since is not None or time.monotonic() < self._grow_not_before:
            return
        missing = max(self._min_size - self.size, len(self._waiters) - self._connecting)
        for _ in range(min(missing, self._max_size - self.size, _MAX_CONNECTING - self._connecting)):
            self._start_connecting()

    def _start_connecting(self) -> None:
        self._connecting += 1
        self._start(self._add())

    async def _add(self) -> None:
        """Makes a connection. While there is none at all, one task goes on trying."""
        delay = _FIRST_RETRY_S
        try:
            while not await self._connected():
                if self._idle or self._busy:
                    self._grow_not_before = time.monotonic() + _GROW_AGAIN_S
                    asyncio.get_running_loop().call_later(_GROW_AGAIN_S, self._grow)
                    return
                self._lose()
                if self._connecting > 1:
                    return
                await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311  # spreads the processes' attempts
                delay = min(delay * 2, _MAX_RETRY_S)
        finally:
            self._connecting -= 1
        self._grow()

    async def _connected(self) -> bool:
        """Tries once to make a connection; returns whether it could."""
        try:
            connection = await self._connect()
        except Exception as error:
            self.failure = error
            return False
        finally:
            self.attempted.set()
        self.failure = None
        self._logged = None
        self._reached.set()
        if self.unreachable_since is not None:
            seconds = round(time.monotonic() - self.unreachable_since, 1)
            logger.warning("database reachable again", pool=self._service, seconds=seconds)
            self.unreachable_since = None
        connection.used_at = time.monotonic()
        connection.expires_at = connection.used_at + _MAX_LIFETIME_S * random.uniform(0.9, 1.0)  # noqa: S311  # as above
        self._offer(connection)
        return True

    def _lose(self) -> None:
        """Fails all calls from now on, those that wait included, until there is a connection again."""
        if self.unreachable_since is None:
            self.unreachable_since = time.monotonic()
        failure = type(self.failure).__name__
        if self._logged != failure:
            self._logged = failure
            reason = " ".join(str(self.failure).split())
            logger.warning("database unreachable", pool=self._service, error=failure, reason=reason)
        self._waiters.fail(self._unavailable)

    def _unavailable(self) -> DatabaseUnavailable:
        error = DatabaseUnavailable()
        error.__cause__ = self.failure
        return error

    # --- looking after them

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # An empty context: what serves all calls is bound by no call's deadline and logged under no call's id.
        task = asyncio.create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _use(self, connection: BoundedConnection, work: Coroutine[Any, Any, None]) -> None:
        """Works with a connection in the background and gives it back, whatever happens."""

        async def use() -> None:
            try:
                await work
            finally:
                self.give_back(connection)

        self._busy[connection] = self._start(use())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_INTERVAL_S)
            self._reclaim()
            self._shrink()
            self.check_idle(unused_s=_CHECK_INTERVAL_S)
            self._grow()

    def _reclaim(self) -> None:
        """Takes connections back from tasks that have ended without giving them back, which is a defect."""
        for connection in [it for it, task in self._busy.items() if task.done()]:
            logger.error("connection reclaimed from a task that has ended", pool=self._service)
            CONNECTIONS_RECLAIMED.labels(self._service).inc()
            self._drop(connection)

    def _shrink(self) -> None:
        unused_since = time.monotonic() - _MAX_IDLE_S
        while self._idle and self.size > self._min_size and self._idle[0].used_at < unused_since:
            self._drop(self._idle.popleft())
