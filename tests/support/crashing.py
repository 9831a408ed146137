"""A retention job in a process of its own that dies, as by kill -9, after any number of its steps.

The job and its parts are those of production: they are wrapped from outside, so that every call to the database, every
commit and every call to the archive counts as a step.
"""

from __future__ import annotations

import asyncio
import multiprocessing.process
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ridehail_servers.chassis import logs
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.toll_roads.config import RetentionConfig
from ridehail_servers.toll_roads.retention.archive import ArchiveTable
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.archiving import Archiving
from ridehail_servers.toll_roads.retention.cutoffs import cutoffs
from ridehail_servers.toll_roads.retention.pace import Pace
from ridehail_servers.toll_roads.retention.purging import OfferPurge, OrderPurge
from ridehail_servers.toll_roads.retention.store import PurgeStore
from tests.support.fork_server import fork_server
from tests.support.waiting import LIMIT_S

JOBS = ("archive", "purge_offers", "purge_orders")


class Countdown:
    """Kills this process after a number of steps."""

    def __init__(self, steps: int | None) -> None:
        self._left = steps

    def step(self) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """Stands for an object, and dies after any of its methods."""

    def __init__(self, target: Any, countdown: Countdown) -> None:  # any part of a job
        self._target = target
        self._countdown = countdown

    def __getattr__(self, name: str) -> Any:  # whatever the target has
        found = getattr(self._target, name)
        if asyncio.iscoroutinefunction(found):
            return self._async(found)
        return self._blocking(found) if callable(found) else found

    def _async(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            result = await method(*arguments, **named)
            self._countdown.step()
            return result

        return call

    def _blocking(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            self._countdown.step()
            return result

        return call


class MortalDatabase(Database):
    """Dies after any commit."""

    countdown: Countdown

    @asynccontextmanager
    async def transaction(self, *, undone: bool = False) -> AsyncIterator[Connection]:
        async with super().transaction(undone=undone) as connection:
            yield connection
        self.countdown.step()


def run_job(
    job: str, database_url: str, archive_url: str, now: datetime, *, batch_size: int, steps: int | None = None
) -> multiprocessing.process.BaseProcess:
    """Starts a job in a process of its own.

    Args:
        job: One of `JOBS`.
        database_url: Of toll_roads.
        archive_url: Of the archive.
        now: What the job takes for the present.
        batch_size: Rows of a batch.
        steps: After how many it dies, 1 or more; None: it comes to its end.
    """
    process = fork_server().Process(target=_main, args=(job, _Place(database_url, archive_url, now), batch_size, steps))
    process.start()
    return process


def ended_well(process: multiprocessing.process.BaseProcess) -> bool:
    """Waits for the end; returns False when the process was killed.

    Raises:
        AssertionError: It failed in another way.
    """
    process.join(LIMIT_S)
    assert process.exitcode in {0, -signal.SIGKILL}, f"exit code {process.exitcode}"
    return process.exitcode == 0


@dataclass(frozen=True)
class _Place:
    """Where and when a job runs."""

    database_url: str
    archive_url: str
    now: datetime


def _main(job: str, place: _Place, batch_size: int, steps: int | None) -> None:
    logs.configure(service="crashing")
    asyncio.run(_run(job, place, batch_size, Countdown(steps)))


async def _run(job: str, place: _Place, batch_size: int, countdown: Countdown) -> None:
    database = MortalDatabase(place.database_url, schema="toll_roads", settings=PoolSettings(), application="crashing")
    database.countdown = countdown
    await database.open()
    purge_store: Any = Mortal(PurgeStore(), countdown)
    archive_store: Any = Mortal(ArchiveStore(), countdown)

    def open_table(url: str, table: Any) -> Any:
        return Mortal(ArchiveTable(url, table), countdown)

    parts: dict[str, Any] = {
        "archive": Archiving(database, archive_store, place.archive_url, lambda: place.now, open_table=open_table),
        "purge_offers": OfferPurge(database, purge_store),
        "purge_orders": OrderPurge(database, purge_store),
    }
    pace = Pace(batch_size, rest_factor=0)
    await parts[job].run(cutoffs(RetentionConfig(), place.now), pace, lambda _progress: countdown.step())
    await database.close()
