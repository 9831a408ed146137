"""The jobs of `ridehail eulas`."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import typer

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.row_counts import RowCount
from ridehail_servers.eulas.catalogue_source import CatalogueSource
from ridehail_servers.eulas.catalogue_store import CatalogueStore
from ridehail_servers.eulas.config import EulasConfig
from ridehail_servers.eulas.import_file import FileUnusable, open_dump, open_rejects
from ridehail_servers.eulas.import_job import ImportCounts, ImportFailed, ImportJob
from ridehail_servers.eulas.import_store import ImportStore
from ridehail_servers.eulas.purge_job import PurgeJob
from ridehail_servers.eulas.store import EulasStore

from .job import run_job
from .options import UsageError
from .progress import JobProgress

_SERVICE = "eulas"


def import_decisions(file: Path, config_dir: Path, database_url: str | None, data_dir: Path) -> None:
    """Imports a dump. Raises UsageError if it cannot be imported."""
    config = load(config_dir / "eulas.yaml", EulasConfig)
    rejects_path = file.with_name(f"{file.name}.rejects.jsonl")
    began = time.monotonic()

    async def job(database: Database) -> ImportCounts:
        source = CatalogueSource(lambda: config, CatalogueStore(), system_clock)
        await source.load_first(database)
        with (
            open_dump(file) as dump,
            open_rejects(rejects_path) as rejects,
            JobProgress({"import": dump.size}, in_bytes=True) as bar,
        ):
            return await ImportJob(database, ImportStore(), source.current(), system_clock).run(
                dump, rejects, lambda counts: bar.show("import", dump.position, _summary(counts))
            )

    try:
        counts = run_job(_SERVICE, database_url, data_dir, job)
    except (FileUnusable, ImportFailed) as error:
        raise UsageError(str(error)) from error
    seconds = time.monotonic() - began
    typer.echo(f"import: {_summary(counts)} in {seconds:.1f} s, {counts.lines / seconds:.0f} lines/s")
    if counts.rejected:
        typer.echo(f"import: the rejected lines are in {rejects_path}", err=True)


def purge(expired_for: timedelta, database_url: str | None, data_dir: Path, *, dry_run: bool) -> None:
    """Deletes decisions that have expired this long ago, or counts them."""
    before = system_clock() - expired_for

    async def job(database: Database) -> str:
        purge = PurgeJob(database, EulasStore())
        if dry_run:
            return f"purge, dry run: due={await purge.due(before)}"
        with JobProgress({"purge": await purge.due(before, RowCount.ESTIMATED)}) as bar:
            deleted = await purge.run(before, lambda rows: bar.show("purge", rows, f"deleted={rows}"))
        return f"purge: deleted={deleted}"

    typer.echo(run_job(_SERVICE, database_url, data_dir, job))


def _summary(counts: ImportCounts) -> str:
    return f"lines={counts.lines} imported={counts.imported} passed_over={counts.skipped} rejected={counts.rejected}"
