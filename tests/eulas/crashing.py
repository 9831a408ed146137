"""The jobs of eulas, with each step counted by a crash injector."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.eulas.import_file import open_dump, open_rejects
from ridehail_servers.eulas.import_job import ImportJob
from ridehail_servers.eulas.import_store import ImportStore
from ridehail_servers.eulas.purge_job import PurgeJob
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.dumps import CATALOGUE, CHUNK, rejects_path_of
from tests.support.crash_injector import CrashInjector


async def run_import(path: Path, database_url: str, crash_after: int | None = None) -> CrashInjector:
    """Imports a dump; dies after a step, if one is given."""
    injector = CrashInjector(crash_after)
    async with injector.database(database_url, "eulas") as database:
        with open_dump(path) as dump, open_rejects(rejects_path_of(path)) as rejects:
            job = ImportJob(database, injector.wrap(ImportStore()), CATALOGUE, system_clock, chunk=CHUNK)
            await job.run(dump, injector.wrap(rejects), lambda _done: injector.step("report"))
    return injector


async def run_purge(
    database_url: str, before: datetime, batch_size: int, crash_after: int | None = None
) -> CrashInjector:
    """Deletes decisions that expired before a timestamp; dies after a step, if one is given."""
    injector = CrashInjector(crash_after)
    async with injector.database(database_url, "eulas") as database:
        job = PurgeJob(database, injector.wrap(EulasStore()), batch_size=batch_size)
        await job.run(before, lambda _rows: injector.step("report"))
    return injector
