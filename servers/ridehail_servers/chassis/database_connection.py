"""A connection to Postgres whose statements end in bounded time, whatever happens to caller and server."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Self

import psycopg
from psycopg import generators, waiting
from psycopg.abc import RV, PQGen, PQGenConn
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow

from .writable_host import ConnectedHost, writable_hosts

# psycopg's own: how often a waiting statement looks after its socket.
_WAIT_INTERVAL_S = 0.1
# A healthy server ends a statement within milliseconds of the request. A cancelled task waits this long for it ...
_PROMPT_S = 0.1
# ... and after this long the connection is given up. The server ends the statement when it notices that.
_CANCEL_S = 1.0
# A connection that only listens is checked this often.
_LISTEN_S = 3.0
_COPIES = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)
_READ_ONLY_PARAMETERS = (b"in_hot_standby", b"default_transaction_read_only")
# Those of the connection that is being made.
_ATTEMPTS: ContextVar[list[PQGenConn[Any]]] = ContextVar("attempts to connect")


class BoundedConnection(psycopg.AsyncConnection[TupleRow]):
    """A connection for tasks that may be cancelled, to a server that may hang.

    A cancelled task ends its statement before it goes on, however often it is cancelled meanwhile; psycopg would let
    the second cancellation interrupt that, and both the statement and the connection would be lost. gRPC cancels a call
    at its deadline, as our own timer does, so two cancellations are the rule.

    Attributes:
        max_statement_s: Seconds after which a statement without a result means that the server hangs. None: no limit.
        used_at: For the pool: when it was last given back, on the clock of `time.monotonic` ...
        expires_at: ... and when it is to be replaced.
        connected: Where it goes to, if its connection string names several hosts.
    """

    max_statement_s: float | None = None
    connected: ConnectedHost | None = None
    used_at = 0.0
    expires_at = 0.0
    _ending: asyncio.Task[None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # as AsyncConnection takes them
        super().__init__(*args, **kwargs)
        self._left: list[PQGen[Any]] = []
        self._lacks_standby = False
        self.add_notice_handler(self._heed)

    @classmethod
    async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:  # as AsyncConnection takes them
        """Connects, of several hosts to the one that this process writes to, if that can be written to.

        An attempt that is given up or cancelled closes its socket at once. psycopg leaves that to the attempt's memory:
        the socket would stay open for as long as anybody keeps the error.
        """
        hosts = writable_hosts(conninfo)
        if hosts is None:
            return await cls._connect(conninfo, **kwargs)
        connection = await cls._connect(hosts.ordered(conninfo), **kwargs)
        connection.connected = ConnectedHost(hosts.accepted(connection), hosts, conninfo)
        return connection

    @classmethod
    async def _connect(cls, conninfo: str, **kwargs: Any) -> Self:
        attempts: list[PQGenConn[Any]] = []
        token = _ATTEMPTS.set(attempts)
        try:
            return await super().connect(conninfo, **kwargs)
        finally:
            _ATTEMPTS.reset(token)
            for attempt in attempts:
                attempt.close()

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        attempt = super()._connect_gen(conninfo)
        _ATTEMPTS.get().append(attempt)
        return attempt

    async def wait(self, gen: PQGen[RV], interval: float = _WAIT_INTERVAL_S, timeout: float | None = None) -> RV:
        """Runs every statement, however it is sent.

        Raises:
            psycopg.errors.StatementCompletionUnknown: The server has committed, its standby may not have.
            psycopg.OperationalError: The server hangs; the connection is closed.
        """
        if self._ending is not None:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The task only undoes what it has begun, as by a rollback; that is done for it once its statement ends.
                self._left.append(gen)
                raise asyncio.CancelledError
            await self.settled()
        if self.is_left() and self.pgconn.transaction_status == TransactionStatus.IDLE:
            self.pgconn.finish()
            raise psycopg.OperationalError("another host is written to by now")
        limit = self.max_statement_s if timeout is None else timeout
        self._lacks_standby = False
        try:
            result = await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=limit)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._end(gen)
            raise
        except psycopg.errors._WaitTimeout:  # noqa: SLF001  # documented to those who call `wait`
            if limit is timeout:
                raise
            self.pgconn.finish()
            self._look_elsewhere()
            raise psycopg.OperationalError("the server does not respond") from None
        if self._lacks_standby:
            raise psycopg.errors.StatementCompletionUnknown("the synchronous standby has not confirmed the commit")
        return result

    def _heed(self, notice: psycopg.errors.Diagnostic) -> None:
        # A commit whose wait for the standby is cancelled counts as done, with a warning that has no code of its
        # own, and whose text depends on the server's language.
        if notice.source_function == "SyncRepWaitForLSN":
            self._lacks_standby = True
            self._look_elsewhere()

    def _look_elsewhere(self) -> None:
        """Looks in the background whether another host can be written to by now: this one may have been replaced."""
        if self.connected is not None:
            self.connected.hosts.search(self._connect_elsewhere)

    async def _connect_elsewhere(self) -> None:
        assert self.connected is not None
        hosts = self.connected.hosts
        connection = await self._connect(hosts.ordered(self.connected.conninfo, but_first=True))
        hosts.accepted(connection)
        await connection.close()

    def is_left(self) -> bool:
        """Returns whether this process writes to another host by now."""
        return self.connected is not None and self.connected.is_left

    async def settled(self) -> None:
        """Waits until the statement of a task that has left is over, and the rollback that it left is done."""
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def close(self) -> None:
        await self.settled()
        await super().close()

    async def __aexit__(self, *raised: Any) -> None:  # as AsyncConnection has it
        try:
            await super().__aexit__(*raised)
        except asyncio.CancelledError:
            # psycopg ends here; a pool has its connection given back all the same.
            if getattr(self, "_pool", None) is None:
                self.discard()
            raise

    async def notifies(
        self, *, timeout: float | None = None, stop_after: int | None = None
    ) -> AsyncGenerator[psycopg.Notify]:
        """Yields notifications. Without a timeout, it checks now and then whether the server still responds.

        Raises:
            psycopg.OperationalError: It does not.
        """
        while True:
            async for notification in super().notifies(timeout=timeout or _LISTEN_S, stop_after=stop_after):
                yield notification
            if timeout is not None or stop_after is not None:
                return
            await self.execute("")  # within the time for a statement

    def seems_alive(self) -> bool:
        """Returns whether an idle connection can be used, without asking the server.

        A server that ends a connection says so; of an idle one that has something to say nothing else is expected.
        """
        if self.closed or self.is_left():
            return False
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return not poll.poll(0)

    def is_read_only(self) -> bool:
        """Returns whether the server refuses writes, as far as it has reported (Postgres 14 and newer do)."""
        pgconn = self.pgconn
        return any(pgconn.parameter_status(name) == b"on" for name in _READ_ONLY_PARAMETERS)

    def discard(self) -> None:
        """Closes the connection without waiting; no task may be using it."""
        if self._ending is not None:
            self._ending.add_done_callback(lambda _ending: self.discard())
            return
        self._closed = True
        self.pgconn.finish()

    async def make_idle(self, timeout: float) -> None:
        """Ends what the last user has left open; closes the connection where that fails or takes `timeout` seconds."""
        await self.settled()
        try:
            async with asyncio.timeout(timeout):
                if self.pgconn.pipeline_status != PipelineStatus.OFF:
                    await self._leave_pipeline()
                elif self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                    await self._leave_statement()
                await self.rollback()
        except (psycopg.Error, TimeoutError):
            self.discard()
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            self.discard()

    async def _leave_pipeline(self) -> None:
        """Reads the results that a cancelled task has left unread; psycopg itself gives up at the first that failed."""
        self.pgconn.pipeline_sync()
        await self.wait(generators.send(self.pgconn))
        while self.pgconn.pipeline_status != PipelineStatus.OFF:
            try:
                self.pgconn.exit_pipeline_mode()
            except psycopg.OperationalError:
                await self.wait(generators.fetch(self.pgconn))

    async def _leave_statement(self) -> None:
        """Reads the results that a cancelled task has left unread, as of a stream."""
        await self.cancel_safe(timeout=_CANCEL_S)
        while (result := await self.wait(generators.fetch(self.pgconn))) is not None:
            if result.status in _COPIES:  # it would be returned for ever
                return

    async def check(self, timeout: float) -> None:
        """Asks the server whether it responds; closes the connection where it does not within `timeout` seconds.

        With the response it reports what has changed, see `is_read_only`.
        """
        try:
            async with asyncio.timeout(timeout):
                await self.execute("")
        except (psycopg.Error, TimeoutError):
            self.discard()

    def abandon(self) -> None:
        """Makes the statement under way fail at once; whoever waits for it closes the connection.

        The socket is shut down and stays open: its number must not be used again while the event loop watches it.
        """
        if not self.closed:
            with socket.socket(fileno=os.dup(self.pgconn.socket)) as duplicate, suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)

    async def _end(self, gen: PQGen[Any]) -> None:
        """Ends a statement. Cancellations meanwhile do not reach it.

        A server that is slow to respond is not waited for; then the statement ends in the background.
        """
        loop = asyncio.get_running_loop()
        self._ending = ending = asyncio.create_task(self._end_statement(gen))
        ends = loop.time() + _PROMPT_S
        while not ending.done() and (left := ends - loop.time()) > 0:
            with suppress(asyncio.CancelledError):
                await asyncio.wait({ending}, timeout=left)

    async def _end_statement(self, gen: PQGen[Any]) -> None:
        """Ends a statement on the server and reads what it still sends; closes the connection where that fails."""
        try:
            async with asyncio.timeout(_CANCEL_S):
                await self.cancel_safe(timeout=_CANCEL_S)
                self._left.insert(0, gen)
                while self._left:
                    with suppress(psycopg.errors.QueryCanceled):
                        await waiting.wait_async(self._left.pop(0), self.pgconn.socket, interval=_WAIT_INTERVAL_S)
        except psycopg.Error:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
        except Exception:  # in time or not: nobody else would end the statement
            self.pgconn.finish()
        finally:
            # Both at once: what is left from here on, somebody else has to do.
            self._left.clear()
            self._ending = None
