"""Kills a process, as kill -9 does, after any number of its steps.

The process runs production code. Its parts are wrapped from outside, so that each of their calls and each commit counts
as a step.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import psycopg

from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.settings import PoolSettings
from tests.support.processes import ended_well
from tests.support.waiting import eventually

_APPLICATION = "crashing"


class CrashInjector:
    """Counts the steps of a process, and kills it after step `crash_after`, from 1."""

    def __init__(self, crash_after: int | None = None) -> None:
        self.names: list[str] = []
        self._dies_after = crash_after

    def step(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self._dies_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, target: Any) -> Any:  # any part of a job
        """Returns a wrapper of the target that counts each call of its methods."""
        return _Counted(target, self)

    @asynccontextmanager
    async def database(self, url: str, schema: str) -> AsyncIterator[Database]:
        """Opens a database whose commits count."""
        database = _CountedDatabase(url, schema=schema, settings=PoolSettings(), application=_APPLICATION)
        database.injector = self
        await database.open()
        try:
            yield database
        finally:
            await database.close()


def died(process: BaseProcess, url: str) -> bool:
    """Waits for the end of a process and of its transactions in a database; returns whether it was killed."""
    was_killed = not ended_well(process)
    sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
    with psycopg.connect(url, autocommit=True) as connection:
        eventually(lambda: connection.execute(sessions, (_APPLICATION,)).fetchone() is None)
    return was_killed


def first_and_last(names: Sequence[str]) -> list[int]:
    """Returns the numbers, from 1, of the first and of the last step of each name."""
    firsts = {names.index(name) + 1 for name in names}
    lasts = {len(names) - names[::-1].index(name) for name in names}
    return sorted(firsts | lasts)


class _Counted:
    def __init__(self, target: Any, injector: CrashInjector) -> None:
        self._target = target
        self._injector = injector

    def __getattr__(self, name: str) -> Any:  # whatever the target has
        found = getattr(self._target, name)
        if asyncio.iscoroutinefunction(found):
            return self._async(found)
        return self._blocking(found) if callable(found) else found

    def _async(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            result = await method(*arguments, **named)
            self._injector.step(method.__qualname__)
            return result

        return call

    def _blocking(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            self._injector.step(method.__qualname__)
            return result

        return call


class _CountedDatabase(Database):
    injector: CrashInjector

    @asynccontextmanager
    async def transaction(self, *, dry_run: bool = False) -> AsyncIterator[Connection]:
        async with super().transaction(dry_run=dry_run) as connection:
            yield connection
        self.injector.step("commit")
