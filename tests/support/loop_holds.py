"""How long one callback holds an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

import pytest


class Holds:
    """CPU seconds of the loop's thread in each callback, whatever other threads and processes do."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def take(self) -> tuple[float, float]:
        """Returns the longest and the sum since the last time."""
        longest, total = max(self._seconds, default=0.0), sum(self._seconds)
        self._seconds.clear()
        return longest, total


@contextmanager
def loop_holds() -> Iterator[Holds]:
    """Watches the callbacks of the running loop, which is asyncio's own, for the length of the block."""
    holds, thread = Holds(), get_ident()
    run = asyncio.events.Handle._run

    def timed(handle: asyncio.events.Handle) -> None:
        if get_ident() != thread:
            return run(handle)
        began = time.thread_time()
        try:
            return run(handle)
        finally:
            holds.add(time.thread_time() - began)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.events.Handle, "_run", timed)
        yield holds
