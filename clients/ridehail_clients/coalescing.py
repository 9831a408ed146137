"""Turns concurrent lookups of single keys into few lookups of many.

While a batch is under way, keys gather for the next one, so batches grow with the load and a lone lookup waits for
nobody. DataLoader libraries batch what one request asks within one turn of the event loop; calls of different clients
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
    ) -> None:
        """Prepares an empty coalescer.

        Args:
            load: Looks up distinct keys; leaves out those that it does not find.
            max_batch: Keys in one batch at most.
            max_concurrent: Batches under way at once at most.
        """
        self._load = load
        self._max_batch = max_batch
        self._max_concurrent = max_concurrent
        self._waiting: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._batches: set[asyncio.Task[None]] = set()

    async def get(self, key: Key) -> Value | None:
        """Returns the key's value, as of some moment after the call began, or None when there is none.

        A caller that is cancelled leaves its batch unharmed.

        Args:
            key: What to look up.

        Raises:
            Exception: Whatever the batch's lookup raised.
        """
        future: asyncio.Future[Value | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        self._start_batches()
        return await future

    def _start_batches(self) -> None:
        if self._waiting and len(self._batches) < self._max_concurrent:
            # An empty context: a batch serves many calls, so no call's deadline or request id may bind it.
            task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
            self._batches.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._start_batches()

    async def _run(self) -> None:
        batch = self._next_batch()
        if not batch:
            return
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
