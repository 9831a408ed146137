"""File work and pauses of a client, for asyncio and for blocking code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

AsyncSleep = Callable[[float], Awaitable[object]]
"""Takes seconds, ends after them."""
SyncSleep = Callable[[float], object]
"""Takes seconds, returns after them."""

async_sleep: Final[AsyncSleep] = asyncio.sleep
sync_sleep: Final[SyncSleep] = time.sleep


async def run_in_thread(
    work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Does work that may wait for a disk, off the event loop; it ends even if the caller is cancelled."""
    return await asyncio.to_thread(work, *args, **kwargs)


def run_here(work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """Does work that may wait for a disk, in the caller's thread."""
    return work(*args, **kwargs)
