"""Callers that make calls until the end of a block, and the results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ridehail_clients import ServiceError
from tests.clients.flavours import Flavour, Opened
from tests.support.waiting import LIMIT_S, until

ATTEMPT_S = 2.0
"""How long an attempt may take: much longer than one takes that reaches a working server."""

_PAUSE_S = 0.02


@dataclass(frozen=True)
class Done:
    seconds: float
    has_toll_road: bool | None
    error: ServiceError | None


@dataclass
class BackgroundCalls:
    """The calls so far, in the order of their ends."""

    done: list[Done] = field(default_factory=list)

    async def reaches(self, condition: Callable[[list[Done]], bool]) -> None:
        """Waits until the calls that end from now on fulfil a condition."""
        since = len(self.done)

        await until(lambda: condition(self.done[since:]))

    async def next(self, count: int) -> list[Done]:
        since = len(self.done)
        await self.reaches(lambda done: len(done) >= count)
        return self.done[since : since + count]

    @property
    def failures(self) -> list[ServiceError]:
        return [one.error for one in self.done if one.error is not None]


@asynccontextmanager
async def background_calls(flavour: Flavour, target: str, *, callers: int = 4) -> AsyncIterator[BackgroundCalls]:
    """Retrieves roads by several callers for the length of the block."""
    calls = BackgroundCalls()
    async with flavour.opened(target, "TollRoadsClient", attempt_timeout=ATTEMPT_S) as client:
        tasks = [asyncio.create_task(_call(client, calls)) for _ in range(callers)]
        try:
            yield calls
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _call(client: Opened, calls: BackgroundCalls) -> None:
    while True:
        started = time.monotonic()
        try:
            road = await client.call("retrieve_order", order_id="order", timeout=LIMIT_S)
            done = Done(time.monotonic() - started, road.has_toll_road, None)
        except ServiceError as error:
            done = Done(time.monotonic() - started, None, error)
        calls.done.append(done)
        await asyncio.sleep(_PAUSE_S)
