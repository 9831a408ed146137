"""What `ridehail eulas` does."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import typer

from ridehail_servers.chassis import logs
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.config import load
from ridehail_servers.eulas.config import EulasConfig
from ridehail_servers.eulas.eula_catalogue import EulaCatalogue
from ridehail_servers.eulas.import_file import FileUnusable, open_dump, open_rejects
from ridehail_servers.eulas.import_job import ImportCounts, ImportFailed, ImportJob
from ridehail_servers.eulas.import_store import ImportStore
from ridehail_servers.eulas.purge_job import PurgeJob
from ridehail_servers.eulas.store import EulasStore

from .job_database import job_database, job_database_url
from .options import UsageError
from .progress import JobProgress

_SERVICE = "eulas"


def import_decisions(file: Path, config_dir: Path, database_url: str | None, data_dir: Path) -> None:
    """Imports a dump.

    Args:
        file: The dump.
        config_dir: Holds `eulas.yaml`.
        database_url: The option.
        data_dir: Of a running `ridehail up`.

    Raises:
        UsageError: No database is named, or the dump cannot be imported.
    """
    catalogue = load(config_dir / "eulas.yaml", EulasConfig).catalogue
    logs.configure(service=_SERVICE, level="WARNING")
    try:
        asyncio.run(_import(file, job_database_url(_SERVICE, database_url, data_dir), catalogue))
    except (FileUnusable, ImportFailed) as error:
        raise UsageError(str(error)) from error


def purge(expired_for: timedelta, database_url: str | None, data_dir: Path, *, dry_run: bool) -> None:
    """Deletes decisions.

    Args:
        expired_for: How long ago they expired.
        database_url: The option.
        data_dir: Of a running `ridehail up`.
        dry_run: Whether they are only counted.

    Raises:
        UsageError: No database is named.
    """
    logs.configure(service=_SERVICE, level="WARNING")
    asyncio.run(_purge(job_database_url(_SERVICE, database_url, data_dir), expired_for, dry_run=dry_run))


async def _import(file: Path, url: str, catalogue: EulaCatalogue) -> None:
    began = time.monotonic()
    rejects_path = file.with_name(f"{file.name}.rejects.jsonl")
    with open_dump(file) as dump, open_rejects(rejects_path) as rejects:
        async with job_database(_SERVICE, url) as database:
            with JobProgress({"import": dump.size}, in_bytes=True) as bar:

                def report(done: ImportCounts) -> None:
                    bar.show("import", dump.position, _told(done))

                done = await ImportJob(database, ImportStore(), catalogue, system_clock).run(dump, rejects, report)
    seconds = time.monotonic() - began
    typer.echo(f"import: {_told(done)} in {seconds:.1f} s, {done.lines / seconds:.0f} lines/s")
    if done.rejected:
        typer.echo(f"import: the rejected lines are in {rejects_path}", err=True)


async def _purge(url: str, expired_for: timedelta, *, dry_run: bool) -> None:
    before = system_clock() - expired_for
    async with job_database(_SERVICE, url) as database:
        job = PurgeJob(database, EulasStore())
        due = await job.due(before)
        if dry_run:
            typer.echo(f"purge, dry run: due={due}")
            return
        with JobProgress({"purge": due}) as bar:
            deleted = await job.run(before, lambda rows: bar.show("purge", rows, f"deleted={rows}"))
    typer.echo(f"purge: deleted={deleted}")


def _told(done: ImportCounts) -> str:
    counts = f"imported={done.imported} passed_over={done.skipped} rejected={done.rejected}"
    return f"lines={done.lines} {counts}"
