"""Runs a job by hand on a service's database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from ridehail_servers import suite
from ridehail_servers.chassis import logs
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.runtime.data_dir import DataDir

from .options import UsageError, database_urls

# A batch by hand may be large, and no call waits for it.
_POOL = PoolSettings(max_size=2, timeout_s=10, statement_timeout_ms=120_000, lock_timeout_ms=10_000)

T = TypeVar("T")


def run_job(service: str, database_url: str | None, data_dir: Path, job: Callable[[Database], Awaitable[T]]) -> T:
    """Opens a service's database, runs a job on it and returns the job's result.

    Without `database_url` it is the database of a running `ridehail up` on the data directory.

    Raises:
        UsageError: There is no URL, and nothing runs.
        DatabaseUnavailable: The database cannot be reached.
    """
    logs.configure(service=service, level="WARNING")
    return asyncio.run(_run(service, _url(service, database_url, data_dir), job))


async def _run(service: str, url: str, job: Callable[[Database], Awaitable[T]]) -> T:
    schema = suite.SERVICES[service].schema
    assert schema is not None
    database = Database(url, schema=schema, settings=_POOL, application=f"{service} jobs")
    await database.open()
    try:
        return await job(database)
    finally:
        await database.close()


def _url(service: str, given: str | None, data_dir: Path) -> str:
    try:
        return database_urls([service], given)[service]
    except UsageError as error:
        from ridehail_servers.runtime.running_postgres import running_database_url

        running = running_database_url(DataDir(data_dir).postgres)
        if running is None:
            raise UsageError(f"{error}; or give the --data-dir of a running `ridehail up`") from error
        return running
