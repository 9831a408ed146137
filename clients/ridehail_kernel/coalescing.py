"""Turns concurrent lookups of single keys into few lookups of many.

While a batch is under way, keys gather for the next one, so batches grow with the load and a lone lookup waits for
nobody. Under load they gather for a few milliseconds at least: a batch costs nearly the same for one key and for ten,
so many small ones would take most of a busy server's time. A batch that has become slow is waited for no longer: the
next one begins beside it.

DataLoader libraries batch what one request looks up within one turn of the event loop; calls of different clients
arrive in different turns, so that would send most keys alone.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Coalescer(Generic[Key, Value]):
    """Looks keys up in shared batches."""

    def __init__(
        self,
        load: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]],
        *,
        max_batch: int = 1000,
        max_concurrent: int = 2,
        spacing: float = 0.005,
        slow_after: float = 0.01,
    ) -> None:
        """Creates an empty coalescer.

        Args:
            load: Looks up distinct keys; omits those that it does not find.
            max_batch: Keys in one batch at most.
            max_concurrent: Batches under way at once at most.
            spacing: Seconds from the beginning of a batch of several keys to that of the next one, at least. A batch of
                one key shows that there is no load worth gathering for.
            slow_after: Seconds after which a batch is slow.
        """
        self._load = load
        self._max_batch = max_batch
        self._max_concurrent = max_concurrent
        self._spacing = spacing
        self._slow_after = slow_after
        self._waiting: dict[Key, list[asyncio.Future[Value | None]]] = {}
        # Each batch under way, with the timer that goes off when it is slow.
        self._batches: dict[asyncio.Task[int], asyncio.TimerHandle] = {}
        self._callers: dict[asyncio.Task[int], list[asyncio.Future[Value | None]]] = {}
        # The batch that the next one waits for: until it ends, its spacing is over, or it is slow.
        self._awaited: asyncio.Task[int] | None = None

    async def get(self, key: Key) -> Value | None:
        """Returns the key's value, read after the call began, or None if there is none.

        A caller that is cancelled leaves its batch unharmed, unless it is the last caller of the batch.

        Raises:
            Exception: Whatever the batch's lookup raised.
        """
        future: asyncio.Future[Value | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        self._start_batch()
        try:
            return await future
        except asyncio.CancelledError:
            self._cancel_abandoned()
            raise

    async def get_all(self, keys: Sequence[Key]) -> dict[Key, Value]:
        """Returns the values of those keys that have one; otherwise as `get`, of which it is many at once."""
        loop = asyncio.get_running_loop()
        futures: dict[Key, asyncio.Future[Value | None]] = {key: loop.create_future() for key in keys}
        for key, future in futures.items():
            self._waiting.setdefault(key, []).append(future)
        self._start_batch()
        found: dict[Key, Value] = {}
        try:
            for key, future in futures.items():
                value = await future
                if value is not None:
                    found[key] = value
        except BaseException as error:
            for future in futures.values():
                # One that has failed as well has been told by this one's failure.
                if not future.cancel() and not future.cancelled():
                    future.exception()
            if isinstance(error, asyncio.CancelledError):
                self._cancel_abandoned()
            raise
        return found

    def _cancel_abandoned(self) -> None:
        for task, futures in self._callers.items():
            if all(future.done() for future in futures):
                task.cancel()

    def _start_batch(self) -> None:
        if not self._waiting or self._awaited is not None or len(self._batches) >= self._max_concurrent:
            return
        loop = asyncio.get_running_loop()
        # An empty context: a batch serves many calls, so no call's deadline or request id may bind it.
        task = loop.create_task(self._run(), context=contextvars.Context())
        self._batches[task] = loop.call_later(self._slow_after, self._wait_no_longer_for, task)
        self._awaited = task
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[int]) -> None:
        slow = self._batches.pop(task)
        self._callers.pop(task, None)
        slow.cancel()
        began = slow.when() - self._slow_after
        if not task.cancelled() and task.result() > 1:
            asyncio.get_running_loop().call_at(began + self._spacing, self._wait_no_longer_for, task)
        else:
            self._wait_no_longer_for(task)

    def _wait_no_longer_for(self, task: asyncio.Task[int]) -> None:
        if self._awaited is task:
            self._awaited = None
        self._start_batch()

    async def _run(self) -> int:
        """Looks a batch up; returns how many keys it had."""
        batch = self._next_batch()
        if not batch:
            return 0
        self._note_callers(batch)
        try:
            found = await self._load(list(batch))
        except asyncio.CancelledError:
            for future in _pending(batch):
                future.cancel()
            raise
        except Exception as error:
            for future in _pending(batch):
                future.set_exception(error)
        else:
            for key, futures in batch.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(key))
        return len(batch)

    def _note_callers(self, batch: Mapping[Key, list[asyncio.Future[Value | None]]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers[task] = _pending(batch)

    def _next_batch(self) -> dict[Key, list[asyncio.Future[Value | None]]]:
        """Takes out the keys that have waited longest, without those whose callers have all gone away."""
        batch: dict[Key, list[asyncio.Future[Value | None]]] = {}
        while self._waiting and len(batch) < self._max_batch:
            key = next(iter(self._waiting))
            futures = [future for future in self._waiting.pop(key) if not future.done()]
            if futures:
                batch[key] = futures
        return batch


def _pending(batch: Mapping[Key, list[asyncio.Future[Value | None]]]) -> list[asyncio.Future[Value | None]]:
    return [future for futures in batch.values() for future in futures if not future.done()]
