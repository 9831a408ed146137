"""Tasks that wait for a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .database_connection import BoundedConnection


class ConnectionWaiters:
    """A queue of tasks, of which none stays that waits no longer."""

    def __init__(self, *, timed_out: Callable[[], Exception], take_back: Callable[[BoundedConnection], None]) -> None:
        """Creates an empty queue.

        Args:
            timed_out: Creates the error of a task that has waited in vain.
            take_back: Takes a connection that was handed to a task just as that was cancelled.
        """
        self._timed_out = timed_out
        self._take_back = take_back
        self._tasks: dict[asyncio.Future[BoundedConnection], asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    async def wait(self, task: asyncio.Task[Any], timeout: float) -> BoundedConnection:
        """Returns a connection for the current task, or raises what `timed_out` or `fail` create."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[BoundedConnection] = loop.create_future()
        self._tasks[waiter] = task
        timer = loop.call_later(timeout, self._expire, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._take_back(waiter.result())
            raise
        finally:
            timer.cancel()
            self._tasks.pop(waiter, None)

    def hand(self, connection: BoundedConnection) -> asyncio.Task[Any] | None:
        """Hands a connection to the task that has waited longest; returns that, or None if none waits."""
        while self._tasks:
            waiter = next(iter(self._tasks))
            task = self._tasks.pop(waiter)
            if not waiter.done():
                waiter.set_result(connection)
                return task
        return None

    def fail(self, error: Callable[[], Exception]) -> None:
        """Fails every task that waits."""
        for waiter in self._tasks:
            if not waiter.done():
                waiter.set_exception(error())
        self._tasks.clear()

    def _expire(self, waiter: asyncio.Future[BoundedConnection]) -> None:
        if not waiter.done():
            waiter.set_exception(self._timed_out())
