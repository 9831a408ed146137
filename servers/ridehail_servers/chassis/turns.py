"""What is done once for all that comes up in a turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class AtTurnsEnd(Generic[Item]):
    """Hands over what came up in a turn of the event loop when that ends: calls that end together share the work.

    Code that runs many times in a row takes a fifth of what it takes between that of other calls.
    """

    def __init__(self, handle: Callable[[list[Item]], None]) -> None:
        self._handle = handle
        self._items: list[Item] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # one that has ended hands nothing over

    def add(self, item: Item) -> None:
        """Adds something that `handle` gets before the end of the present task is known to anybody."""
        loop = asyncio.get_running_loop()
        if not self._items or self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._hand_over)
        self._items.append(item)

    def _hand_over(self) -> None:
        items, self._items = self._items, []
        self._handle(items)
