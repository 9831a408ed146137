"""The database of a service, for a job that somebody runs by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ridehail_servers import suite
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.runtime.data_dir import DataDir

from .options import UsageError, database_urls

# A batch by hand may be large, and nobody waits for it within a call.
_POOL = PoolSettings(max_size=2, timeout_s=10, statement_timeout_ms=120_000, lock_timeout_ms=10_000)


def job_database_url(service: str, given: str | None, data_dir: Path) -> str:
    """Returns where a job finds its database: as told, or that of a running `ridehail up`.

    Args:
        service: Whose it is.
        given: The option.
        data_dir: Of the `ridehail up`.

    Raises:
        UsageError: Nothing is told, and nothing runs.
    """
    try:
        return database_urls([service], given)[service]
    except UsageError as error:
        from ridehail_servers.runtime.postgres import running_database_url

        running = running_database_url(DataDir(data_dir).postgres)
        if running is None:
            raise UsageError(f"{error}; or give the --data-dir of a running `ridehail up`") from error
        return running


@asynccontextmanager
async def job_database(service: str, url: str) -> AsyncIterator[Database]:
    """Opens the database for the length of the block.

    Args:
        service: Whose it is.
        url: See `job_database_url`.

    Raises:
        DatabaseUnavailable: It does not answer.
    """
    schema = suite.SERVICES[service].schema
    assert schema is not None
    database = Database(url, schema=schema, settings=_POOL, application=f"{service} jobs")
    await database.open()
    try:
        yield database
    finally:
        await database.close()
