"""A deterministic scheduler: actors take turns, and only one makes a step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from tests.support.waiting import LIMIT_S

_actor: ContextVar[str] = ContextVar("actor", default="")


class Scheduler:
    """Runs the steps of actors in an order that the test chooses."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._parked = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def turn(self) -> None:
        """Waits until it is the calling actor's turn; returns at once outside of actors."""
        name = _actor.get()
        if name not in self._tasks or self._tasks[name].done():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[name] = turn
        self._parked.set()
        await turn

    async def run(
        self,
        actors: Mapping[str, Coroutine[Any, Any, None]],
        choose: Callable[[Sequence[str]], str],
        *,
        effects: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        """Runs the actors to their ends.

        Args:
            actors: By name.
            choose: Returns whose turn it is, of those that can move.
            effects: What else may happen between two steps, by name; chosen like an actor.
        """
        for name, actor in actors.items():
            self._tasks[name] = asyncio.create_task(_named(name, actor))
            await self._settled(name)
        others = dict(effects or {})
        while self._waiting:
            chosen = choose((*self._waiting, *others))
            if chosen in others:
                others[chosen]()
                continue
            self._waiting.pop(chosen).set_result(None)
            await self._settled(chosen)
        for task in self._tasks.values():
            await task
        self._tasks.clear()

    async def _settled(self, name: str) -> None:
        """Waits until an actor waits for its next turn, or is done."""
        async with asyncio.timeout(LIMIT_S):
            while name not in self._waiting and not self._tasks[name].done():
                self._parked.clear()
                self._tasks[name].add_done_callback(lambda _task: self._parked.set())
                await self._parked.wait()


async def _named(name: str, actor: Coroutine[Any, Any, None]) -> None:
    _actor.set(name)
    await actor
