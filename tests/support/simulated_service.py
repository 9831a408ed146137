"""A service with a database in virtual time: the real admission and queue, a pool and calls that only take time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from ridehail_servers.chassis.connection_load import ConnectionLoad
from ridehail_servers.chassis.errors import Overloaded
from ridehail_servers.chassis.interceptors import Admission, ProcessCalls
from ridehail_servers.chassis.settings import AdmissionSettings

POOL_SIZE = 8


@dataclass
class Load:
    """How calls ended, in seconds.

    Attributes:
        good: When each ended that met its deadline.
        refused: After how long each was refused.
        late: When each began that missed its deadline.
    """

    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def goodput(self, since: float, until: float) -> float:
        """Returns calls a second that met their deadlines."""
        return sum(since <= ended < until for ended in self.good) / (until - since)


class SimulatedService:
    """Handles calls that need connections of its pool."""

    def __init__(self, process: ProcessCalls, *, hold_s: Callable[[float], float], uses: int = 1) -> None:
        """Prepares it; called in the loop that runs it.

        Args:
            process: Counts the calls of all services.
            hold_s: Seconds for which a call holds a connection, by the time; varied by a third at random.
            uses: Connections that a call needs, one after the other.
        """
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random(1)
        self._hold_s = hold_s
        self._uses = uses
        self._load = ConnectionLoad(POOL_SIZE, clock=self._loop.time)
        self.admission = Admission("simulated", process, self._load, AdmissionSettings())
        self._pool = asyncio.Semaphore(POOL_SIZE)

    async def run(self, rate: float, *, deadline_s: float, seconds: float) -> Load:
        """Makes calls at random times, whatever becomes of earlier ones."""
        load, ends = Load(), self._loop.time() + seconds
        async with asyncio.TaskGroup() as group:
            while self._loop.time() < ends:
                group.create_task(self._call(deadline_s, load))
                await asyncio.sleep(self._chance.expovariate(rate))
        assert self.admission.under_way == 0
        return load

    async def _call(self, deadline_s: float, load: Load) -> None:
        began = self._loop.time()
        try:
            async with asyncio.timeout(deadline_s):
                await self._admitted(deadline_s)
            load.good.append(self._loop.time())
        except Overloaded:
            load.refused.append(self._loop.time() - began)
        except TimeoutError:
            load.late.append(began)

    async def _admitted(self, deadline_s: float) -> None:
        uses, completed = await self.admission.enter("method", deadline_s), False
        try:
            for _ in range(self._uses):
                await self._use_a_connection()
            completed = True
        finally:
            self.admission.leave("method", uses, completed=completed)

    async def _use_a_connection(self) -> None:
        use, completed = self._load.enter(), False
        try:
            async with self._pool:
                self._load.lent(use)
                await asyncio.sleep(self._hold_s(self._loop.time()) * self._chance.uniform(0.7, 1.3))
                completed = True
        finally:
            self._load.ended(use, completed=completed)
