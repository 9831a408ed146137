"""File work, pauses and work beside the calls of a client, for asyncio and for blocking code."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

AsyncSleep = Callable[[float], Awaitable[object]]
"""Takes seconds, ends after them."""
SyncSleep = Callable[[float], object]
"""Takes seconds, returns after them."""

_tasks: Final[set[asyncio.Task[None]]] = set()
"""asyncio itself keeps no reference to tasks."""

async_sleep: Final[AsyncSleep] = asyncio.sleep
sync_sleep: Final[SyncSleep] = time.sleep


def start_task(work: Callable[[], Coroutine[None, None, None]], /) -> None:
    """Does work beside the caller, in a task. It must not raise."""
    task = asyncio.get_running_loop().create_task(work())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def start_thread(work: Callable[[], None], /) -> None:
    """Does work beside the caller, in a thread that does not keep the process alive. It must not raise."""
    threading.Thread(target=work, daemon=True).start()


async def run_in_thread(
    work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Does work that may wait for a disk, off the event loop; it ends even if the caller is cancelled."""
    return await asyncio.to_thread(work, *args, **kwargs)


def run_here(work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """Does work that may wait for a disk, in the caller's thread."""
    return work(*args, **kwargs)
