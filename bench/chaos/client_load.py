"""Calls by the client library at an even rate."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ridehail_clients import ServiceError

Call = Callable[[int], Awaitable[object]]


@dataclass(frozen=True)
class TimedCall:
    """A call and its end, in Unix seconds; `failure` is empty if it succeeded."""

    number: int
    sent: float
    done: float
    failure: str

    @property
    def is_good(self) -> bool:
        return not self.failure

    @property
    def seconds(self) -> float:
        return self.done - self.sent


@dataclass
class ClientLoad:
    """Makes calls until it is stopped; `call` gets the number of each."""

    call: Call
    rate: float
    attempts: list[TimedCall] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Makes calls until `stop`, and returns when the last has ended."""
        async with asyncio.TaskGroup() as group:
            began, number = time.monotonic(), 0
            while not self._stop.is_set():
                group.create_task(self._one(number))
                number += 1
                await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))

    def stop(self) -> None:
        self._stop.set()

    async def _one(self, number: int) -> None:
        sent, failure = time.time(), ""
        try:
            await self.call(number)
        except ServiceError as error:
            failure = error.reason or type(error).__name__
        self.attempts.append(TimedCall(number, sent, time.time(), failure))


def failures(attempts: Sequence[TimedCall]) -> Counter[str]:
    return Counter(attempt.failure for attempt in attempts if attempt.failure)
