"""Lookups that share batches, for asyncio and for threads: the caller's own time, and an end when the client closes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

import grpc

from ridehail_clients.calls.attempt import caller_is_cancelled, client_closed
from ridehail_clients.errors import CallTimedOut
from ridehail_kernel.coalescing import Coalescer

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

AsyncSingleCall = Callable[[float | None], Awaitable[Value]]
"""Makes a call that shares none, with its timeout in seconds, or None for the contract's deadline."""
SyncSingleCall = Callable[[float | None], Value]

# Keys in one batch: most of what batching saves is saved by then, and the batch still ends in the time of one lookup.
_MAX_BATCH: Final = 100
# Batches under way at once: beside one that a server leaves hanging, another goes on.
_MAX_CONCURRENT: Final = 2


class AsyncSharedLookup(Generic[Key, Value]):
    """Looks keys up in shared batches, for the callers of one event loop."""

    def __init__(self, load: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        """Creates an empty one.

        Args:
            load: Looks up distinct keys within a timeout of its own; omits those that it does not find.
        """
        self._load = load
        self._coalescer = Coalescer(self._run, max_batch=_MAX_BATCH, max_concurrent=_MAX_CONCURRENT)
        self._batches: set[asyncio.Task[object]] = set()
        self._closed = False

    async def get(self, key: Key, *, timeout: float) -> Value | None:
        """Returns the key's value, read after the call began, or None if there is none.

        The caller waits up to `timeout` seconds; the batch goes on for others.

        Raises:
            CallTimedOut: The time is over.
            ClientClosed: The lookup is closed.
            Exception: Whatever `load` raised; the same object for all callers of the batch.
        """
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await self._coalescer.get(key)
        except TimeoutError:
            if not limit.expired():
                raise
            raise _timed_out() from None
        except asyncio.CancelledError:
            if caller_is_cancelled():
                raise
            raise client_closed() from None

    async def close(self) -> None:
        """Ends the batches, and with them the wait of all callers."""
        self._closed = True
        for batch in self._batches:
            batch.cancel()

    async def _run(self, keys: Sequence[Key]) -> Mapping[Key, Value]:
        if self._closed:
            raise client_closed()
        batch = asyncio.current_task()
        assert batch is not None
        self._batches.add(batch)
        try:
            return await self._load(keys)
        finally:
            self._batches.discard(batch)


class SharedLookup(Generic[Key, Value]):
    """Looks keys up in shared batches, for the callers of all threads. The batches have threads of their own."""

    def __init__(self, load: Callable[[Sequence[Key]], Mapping[Key, Value]]) -> None:
        """Creates an empty one; threads start with the first lookup.

        Args:
            load: Looks up distinct keys within a timeout of its own; omits those that it does not find.
        """
        self._load = load
        self._executor = ThreadPoolExecutor(_MAX_CONCURRENT, thread_name_prefix="ridehail-lookups")
        self._lock = threading.Lock()
        # Guarded by the lock:
        self._waiting: dict[Key, list[Future[Value | None]]] = {}
        self._unresolved: set[Future[Value | None]] = set()
        self._workers = 0
        self._closed = False

    def get(self, key: Key, *, timeout: float) -> Value | None:
        """Looks a key up as `AsyncSharedLookup.get` does."""
        future: Future[Value | None] = Future()
        try:
            self._enqueue(key, future)
            return future.result(timeout)
        except TimeoutError:
            # A result that came just now still counts.
            if not future.cancel():
                return future.result()
            raise _timed_out() from None
        finally:
            future.cancel()
            with self._lock:
                self._unresolved.discard(future)

    def close(self) -> None:
        """Ends the wait of all callers; a batch under way ends with its own time."""
        with self._lock:
            self._closed = True
            unresolved = list(self._unresolved)
            self._waiting.clear()
        for future in unresolved:
            _fail(future, client_closed())
        self._executor.shutdown(wait=False)

    def _enqueue(self, key: Key, future: Future[Value | None]) -> None:
        with self._lock:
            if self._closed:
                raise client_closed()
            self._unresolved.add(future)
            self._waiting.setdefault(key, []).append(future)
            if self._workers < _MAX_CONCURRENT:
                # An empty context: a batch serves many calls, so no call's deadline or request id may bind it.
                self._executor.submit(contextvars.Context().run, self._work)
                self._workers += 1

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                found = self._load(list(batch))
            except BaseException as error:  # the callers get it, whatever it is
                for future in _futures(batch):
                    _fail(future, error)
            else:
                for key, futures in batch.items():
                    for future in futures:
                        _resolve(future, found.get(key))

    def _next_batch(self) -> dict[Key, list[Future[Value | None]]]:
        """Takes out the keys that have waited longest; when there are none, the worker counts as gone."""
        batch: dict[Key, list[Future[Value | None]]] = {}
        with self._lock:
            while self._waiting and len(batch) < _MAX_BATCH:
                key = next(iter(self._waiting))
                futures = [future for future in self._waiting.pop(key) if not future.done()]
                if futures:
                    batch[key] = futures
            if not batch:
                self._workers -= 1
        return batch


def _futures(batch: Mapping[Key, list[Future[Value | None]]]) -> list[Future[Value | None]]:
    return [future for futures in batch.values() for future in futures]


def _resolve(future: Future[Value | None], value: Value | None) -> None:
    with contextlib.suppress(InvalidStateError):  # the caller has given up
        future.set_result(value)


def _fail(future: Future[Value | None], error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):  # the caller has given up
        future.set_exception(error)


def _timed_out() -> CallTimedOut:
    return CallTimedOut(grpc.StatusCode.DEADLINE_EXCEEDED, message="the shared lookup gave no result in time")
