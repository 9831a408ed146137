"""`ridehail eulas`: keeps agreements, imports decisions from another database, and purges expired ones."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from .eulas_admin import add_commands
from .options import (
    DEFAULT_DATA_DIR,
    ConfigDirOption,
    DatabaseUrlOption,
    DataDirOption,
    DryRunOption,
    config_dir,
    parse_period,
)

app = typer.Typer(
    name="eulas",
    help="Agreements: keep those of the database; import what users decided elsewhere; delete decisions that have long"
    " expired.",
    no_args_is_help=True,
)
add_commands(app)


def _period(text: str) -> timedelta:
    return parse_period(text, "hd", "--expired-for takes hours or days, as in 12h or 90d")


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
    from . import eulas_jobs as jobs

    jobs.import_decisions(file, config_dir(config_dir_option), database_url, data_dir)


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
    dry_run: DryRunOption = False,
) -> None:
    """Delete decisions that have long expired. The log of decisions keeps them. Safe to repeat, and several at once."""
    from . import eulas_jobs as jobs

    jobs.purge(expired_for, database_url, data_dir, dry_run=dry_run)
