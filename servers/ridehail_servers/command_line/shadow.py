"""`ridehail shadow`: what the comparison of two back ends has shown."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from .options import DEFAULT_DATA_DIR, DatabaseUrlOption, DataDirOption, UsageError

_PERIOD = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}

app = typer.Typer(
    name="shadow",
    help="The shadow roll-out of personal states: how the two back ends' answers compare.",
    no_args_is_help=True,
)


def _period(text: str) -> timedelta:
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise UsageError(f"--since takes minutes, hours or days, as in 30m, 1h or 2d, not {text!r}")
    return int(found[1]) * _UNITS[found[2]]


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
    """Tell how often the two back ends' answers differ, and where. No value of any answer is kept or shown."""
    from .shadow_jobs import print_report

    print_report(since, database_url, data_dir, as_json=as_json)
