"""`ridehail eulas`: decisions come from another database, and go when they have long expired."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from ridehail_servers.chassis import logs
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.config import load
from ridehail_servers.eulas.config import EulasConfig
from ridehail_servers.eulas.eula_catalogue import EulaCatalogue
from ridehail_servers.eulas.import_file import FileUnusable, opened_dump, opened_rejects
from ridehail_servers.eulas.import_store import ImportStore
from ridehail_servers.eulas.importing import Import, Imported, ImportFailed
from ridehail_servers.eulas.purge_store import PurgeStore
from ridehail_servers.eulas.purging import Purge

from .job_database import job_database, job_database_url
from .job_progress import JobProgress
from .options import (
    DEFAULT_DATA_DIR,
    ConfigDirOption,
    DatabaseUrlOption,
    DataDirOption,
    UsageError,
    config_dir,
)

_SERVICE = "eulas"
_PERIOD = re.compile(r"([0-9]{1,5})([dh])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}

app = typer.Typer(
    name=_SERVICE,
    help="Agreements: import what users decided elsewhere; delete decisions that have long expired.",
    no_args_is_help=True,
)


def _period(text: str) -> timedelta:
    found = _PERIOD.fullmatch(text)
    period = int(found[1]) * _UNITS[found[2]] if found else timedelta()
    if not period:
        raise UsageError(f"--expired-for takes hours or days, as in 12h or 90d, not {text!r}")
    return period


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="The decisions, a JSON object a line: yandex_uid, eula_id, status (accepted, rejected), updated_at,"
            " valid_till (times with their zone, as in 2026-11-21T05:18:48Z). Packed by gzip if it ends with .gz.",
            metavar="FILE.jsonl",
        ),
    ],
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    config_dir_option: ConfigDirOption = None,
) -> None:
    """Import decisions from another database's dump, where they are newer than what is known.

    Lines that are no decisions go to FILE.jsonl.rejects.jsonl with the reason. Safe to repeat, and after a run that was
    killed.
    """
    catalogue = load(config_dir(config_dir_option) / "eulas.yaml", EulasConfig).catalogue
    logs.configure(service=_SERVICE, level="WARNING")
    try:
        asyncio.run(_import(file, job_database_url(_SERVICE, database_url, data_dir), catalogue))
    except (FileUnusable, ImportFailed) as error:
        raise UsageError(str(error)) from error


@app.command()
def purge(
    expired_for: Annotated[
        timedelta,
        typer.Option(
            "--expired-for", parser=_period, metavar="PERIOD", help="How long ago they expired: hours or days."
        ),
    ] = "90d",  # type: ignore[assignment]  # typer parses it
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what is due, and change nothing.")] = False,
) -> None:
    """Delete decisions that have long expired. The log of decisions keeps them. Safe to repeat, and several at once."""
    logs.configure(service=_SERVICE, level="WARNING")
    asyncio.run(_purge(job_database_url(_SERVICE, database_url, data_dir), expired_for, dry_run=dry_run))


async def _import(file: Path, url: str, catalogue: EulaCatalogue) -> None:
    began = time.monotonic()
    rejects_path = file.with_name(f"{file.name}.rejects.jsonl")
    with opened_dump(file) as dump, opened_rejects(rejects_path) as rejects:
        async with job_database(_SERVICE, url) as database:
            with JobProgress({"import": dump.size}, in_bytes=True) as bar:

                def report(done: Imported) -> None:
                    bar.show("import", dump.position, _told(done))

                done = await Import(database, ImportStore(), catalogue, system_clock).run(dump, rejects, report)
    seconds = time.monotonic() - began
    typer.echo(f"import: {_told(done)} in {seconds:.1f} s, {done.lines / seconds:.0f} lines/s")
    if done.rejected:
        typer.echo(f"import: the rejected lines are in {rejects_path}", err=True)


async def _purge(url: str, expired_for: timedelta, *, dry_run: bool) -> None:
    before = system_clock() - expired_for
    async with job_database(_SERVICE, url) as database:
        job = Purge(database, PurgeStore())
        due = await job.due(before)
        if dry_run:
            typer.echo(f"purge, dry run: due={due}")
            return
        with JobProgress({"purge": due}) as bar:
            deleted = await job.run(before, lambda rows: bar.show("purge", rows, f"deleted={rows}"))
    typer.echo(f"purge: deleted={deleted}")


def _told(done: Imported) -> str:
    counts = f"imported={done.imported} passed_over={done.passed_over} rejected={done.rejected}"
    return f"lines={done.lines} {counts}"
