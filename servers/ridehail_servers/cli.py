"""The `ridehail` command.

A command loads what it needs when it runs: printing a ticket must not cost what starting the servers costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from .chassis.errors import is_explained
from .chassis.problems import lines_of
from .command_line import (
    configuration,
    credentials,
    doctor,
    eulas,
    gateway,
    health,
    keys,
    monitoring,
    order_state,
    personalstate,
    run,
    schemas,
    services,
    shadow,
    toll_roads,
    user_data,
)

app = typer.Typer(
    name="ridehail",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(*, is_asked: bool) -> None:
    if is_asked:
        from importlib import metadata  # noqa: PLC0415 - other commands do without

        typer.echo(f"ridehail {metadata.version('ridehail')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _print_version(is_asked=value),
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """The order back end of a ride-hailing super-app. Start with `ridehail up --demo`."""


app.command()(run.up)
app.command()(run.serve)
app.command()(run.worker)
app.command()(schemas.migrate)
app.command()(doctor.doctor)
app.command()(health.health)
app.command()(services.services)
app.command()(credentials.token)
app.command()(credentials.ticket)
app.add_typer(configuration.app, name="config")
app.add_typer(eulas.app, name="eulas")
app.add_typer(gateway.app, name="gateway")
app.add_typer(keys.app, name="keys")
app.add_typer(monitoring.app, name="monitoring")
app.add_typer(order_state.app, name="order-state")
app.add_typer(personalstate.app, name="personalstate")
app.add_typer(shadow.app, name="shadow")
app.add_typer(toll_roads.app, name="toll-roads")
app.add_typer(user_data.app, name="user-data")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exits with 0, or with one line on standard error and 1 (2: a wrong call, 130: Ctrl-C).

    Where several things are wrong, each has a line of its own.

    Without arguments it takes those of the process.
    """
    # gRPC's own log has nothing that users could act on, such as forks beside its threads.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # no child goes on with its parent's gRPC
    # Logs, data and the archive are private.
    os.umask(0o077)
    try:
        app(arguments, prog_name="ridehail")
    except Exception as error:
        if not is_explained(error):
            raise
        lines = lines_of(error)
        if len(lines) > 1:
            lines = [f"{len(lines)} things are missing or wrong:", *(f"  {line}" for line in lines)]
        sys.stderr.write("ridehail: " + "\n".join(lines) + "\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
