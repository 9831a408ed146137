"""Work that goes on beside what is awaited."""

from __future__ import annotations

import asyncio


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancels a task and waits until it has ended, however it does.

    Args:
        task: What is no longer wanted.
    """
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
