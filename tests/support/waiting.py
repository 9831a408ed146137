"""Waiting for a state, for as long as any machine may take to reach it."""

from __future__ import annotations

import asyncio
import os
import reprlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Result = TypeVar("Result")

TIMEOUT_FACTOR = float(os.environ.get("RIDEHAIL_TEST_PATIENCE", "1"))
"""How many times longer than usual tests wait."""

LIMIT_S = 60.0 * TIMEOUT_FACTOR
"""Seconds after which a state that has not come is taken not to come at all. Nobody is judged by it: whatever a test
waits for comes within a second or two on a quiet machine."""


def eventually(
    condition: Callable[[], Result | None], *, unless: type[Exception] | tuple[()] = (), within: float = LIMIT_S
) -> Result:
    """Calls `condition` until it returns something true, and returns that. The exception `unless` means "not yet".

    Raises:
        AssertionError: The time ran out.
    """
    ends = time.monotonic() + within
    last: object = None
    while time.monotonic() < ends:
        try:
            last = result = condition()
            if result:
                return result
        except unless as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"not within {within} s; last: {last!r}")


async def until(condition: Callable[[], object], *, within: float = LIMIT_S) -> object:
    """Calls `condition`, which may be asynchronous, until it returns something true, and returns that.

    Raises:
        AssertionError: The time ran out. It counts what the condition returned, and says where every task waits.
    """
    given: Counter[str] = Counter()
    try:
        async with asyncio.timeout(within) as limit:
            while not (result := await _asked(condition)):
                given[reprlib.repr(result)] += 1
                await asyncio.sleep(0.02)
            return result
    except TimeoutError:
        if not limit.expired():
            raise
        waiting = "\n\n".join("\n".join(waits_of(task)) for task in asyncio.all_tasks())
        raise AssertionError(f"not within {within} s; given: {dict(given)}; tasks:\n{waiting}") from None


def waits_of(task: asyncio.Task[Any]) -> Iterator[str]:
    """Yields the name of a task and where it waits, line by line from its outermost coroutine to the innermost."""
    yield task.get_name()
    awaited: Any = task.get_coro()
    while awaited is not None:  # coroutines and asynchronous generators name their parts differently
        kind = {"coroutine": "cr", "async_generator": "ag", "generator": "gi"}.get(type(awaited).__name__)
        frame = kind and getattr(awaited, f"{kind}_frame")
        yield f"  {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" if frame else f"  {awaited!r}"
        awaited = kind and getattr(awaited, {"cr": "cr_await", "ag": "ag_await", "gi": "gi_yieldfrom"}[kind])


async def _asked(condition: Callable[[], object]) -> object:
    """Returns the condition's result, or None if it takes too long: then it is called again.

    grpc.aio promises nothing to a process that has had several event loops, as one that runs many tests: a call there
    once waited for a response that had arrived.
    """
    result = condition()
    if not asyncio.iscoroutine(result):
        return result
    try:
        async with asyncio.timeout(LIMIT_S / 6) as limit:
            return await result
    except TimeoutError:
        if not limit.expired():
            raise
        return None
