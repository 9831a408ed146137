"""A bounded queue of work that is put off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Generic, TypeVar

from ridehail_servers.chassis.background import report_failure

Item = TypeVar("Item")


class ComparisonQueue(Generic[Item]):
    """Holds items until a worker has time for them. Whoever offers one never waits.

    Args:
        work: Processes an item; one that it fails at is dropped.
        dropped: Called for every item that is not processed.
        capacity: Returns how many items may wait at present.
        workers: Returns how many items may be processed at once at present.
        report_waiting: Called with how many items wait, whenever that changes.
    """

    def __init__(
        self,
        work: Callable[[Item], Awaitable[None]],
        *,
        dropped: Callable[[Item], None],
        capacity: Callable[[], int],
        workers: Callable[[], int],
        report_waiting: Callable[[int], None],
    ) -> None:
        self._work = work
        self._dropped = dropped
        self._capacity = capacity
        self._workers = workers
        self._report_waiting = report_waiting
        self._waiting: deque[Item] = deque()
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def offer(self, item: Item) -> None:
        """Takes an item, or drops it if there is no room."""
        if self._closed or len(self._waiting) >= self._capacity():
            self._dropped(item)
            return
        self._waiting.append(item)
        self._report_waiting(len(self._waiting))
        if self._busy < self._workers():
            self._busy += 1
            # A context of its own: the deadline of the call that is being handled does not bind the worker.
            task = asyncio.get_running_loop().create_task(self._run(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self, *, within: float) -> None:
        """Takes nothing more, and processes what waits; drops what is left after `within` seconds."""
        self._closed = True
        if self._tasks:
            _done, late = await asyncio.wait(self._tasks, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        while self._waiting:
            self._dropped(self._next())

    async def _run(self) -> None:
        # Counted here and not by the task's end, which is noticed a little later: an item that came in between would
        # wait for a worker that is gone.
        try:
            while self._waiting and self._busy <= self._workers():
                await self._process(self._next())
        finally:
            self._busy -= 1

    def _next(self) -> Item:
        item = self._waiting.popleft()
        self._report_waiting(len(self._waiting))
        return item

    async def _process(self, item: Item) -> None:
        try:
            await self._work(item)
        except asyncio.CancelledError:
            self._dropped(item)
            raise
        except Exception as error:  # one item must not take the worker from the others
            self._dropped(item)
            report_failure("comparison queue", error)
