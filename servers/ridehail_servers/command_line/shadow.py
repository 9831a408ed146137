"""`ridehail shadow`: reports the comparison of the two back ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from .options import DEFAULT_DATA_DIR, DatabaseUrlOption, DataDirOption, parse_period

app = typer.Typer(
    name="shadow",
    help="The shadow roll-out of personal states: how the two back ends' responses compare.",
    no_args_is_help=True,
)


def _period(text: str) -> timedelta:
    return parse_period(text, "mhd", "--since takes minutes, hours or days, as in 30m, 1h or 2d")


@app.callback()
def _commands() -> None:
    """Keeps `report` a command of its own: typer would run a lone one without its name."""


@app.command()
def report(
    since: Annotated[
        timedelta, typer.Option("--since", parser=_period, metavar="PERIOD", help="How far back: minutes, hours, days.")
    ] = "1h",  # type: ignore[assignment]  # typer parses it
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Report how often the two back ends' responses differ, and where. No value of any response is stored or shown."""
    from . import shadow_jobs as jobs

    jobs.print_report(since, database_url, data_dir, as_json=as_json)
