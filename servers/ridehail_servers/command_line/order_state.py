"""`ridehail order-state`: what apps could not put together."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from .options import DEFAULT_DATA_DIR, DatabaseUrlOption, DataDirOption, parse_period

app = typer.Typer(name="order-state", help="Reports of order-state.", no_args_is_help=True)


def _period(text: str) -> timedelta:
    return parse_period(text, "hd", "--since takes hours or days, as in 6h or 2d")


@app.callback()
def _commands() -> None:
    """Keeps `invalid-parts` a command of its own: typer would run a lone one without its name."""


@app.command("invalid-parts")
def invalid_parts(
    since: Annotated[
        timedelta, typer.Option("--since", parser=_period, metavar="PERIOD", help="How far back: hours, days.")
    ] = "1d",  # type: ignore[assignment]  # typer parses it
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Report which parts of orders apps could not put together, and what they looked like. No value is stored."""
    from . import order_state_jobs as jobs

    jobs.print_invalid_parts(since, database_url, data_dir, as_json=as_json)
