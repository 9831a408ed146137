"""Work that is put off, as far as there is room for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Generic, TypeVar

from ridehail_servers.chassis.background import report_failure

Item = TypeVar("Item")


class ComparisonQueue(Generic[Item]):
    """Keeps items until a worker has time for them. Whoever offers one never waits.

    Args:
        work: Deals with an item; one that it fails at is dropped.
        dropped: Told of every item that nothing comes of.
        capacity: Returns how many items may wait at present.
        workers: Returns how many items may be dealt with at once at present.
        report_waiting: Told how many items wait, whenever that changes.
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
        """Takes an item, or drops it where there is no room.

        Args:
            item: To be dealt with.
        """
        if self._closed or len(self._waiting) >= self._capacity():
            self._dropped(item)
            return
        self._waiting.append(item)
        self._report_waiting(len(self._waiting))
        if self._busy < self._workers():
            self._busy += 1
            # A context of its own: the deadline of the call that is being handled is none of the worker's.
            task = asyncio.get_running_loop().create_task(self._run(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self, *, within: float) -> None:
        """Takes nothing more, and deals with what waits; drops what is left when the time is over.

        Args:
            within: Seconds.
        """
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
                await self._deal_with(self._next())
        finally:
            self._busy -= 1

    def _next(self) -> Item:
        item = self._waiting.popleft()
        self._report_waiting(len(self._waiting))
        return item

    async def _deal_with(self, item: Item) -> None:
        try:
            await self._work(item)
        except asyncio.CancelledError:
            self._dropped(item)
            raise
        except Exception as error:  # one item must not take the worker from the others
            self._dropped(item)
            report_failure("comparison queue", error)
