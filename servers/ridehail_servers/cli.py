"""The `ridehail` command.

A command loads what it needs when it runs: printing a ticket must not cost what starting the servers costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from .chassis.errors import is_explained
from .command_line import credentials, eulas, gateway, personalstate, run, schemas, shadow, toll_roads

app = typer.Typer(
    name="ridehail",
    help="The order back end of a ride-hailing super-app. Start with `ridehail up --demo`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(run.up)
app.command()(run.serve)
app.command()(run.worker)
app.command()(schemas.migrate)
app.command()(credentials.token)
app.command()(credentials.ticket)
app.add_typer(eulas.app, name="eulas")
app.add_typer(gateway.app, name="gateway")
app.add_typer(personalstate.app, name="personalstate")
app.add_typer(shadow.app, name="shadow")
app.add_typer(toll_roads.app, name="toll-roads")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exits with 0, or with one line on standard error and 1 (2: a wrong call, 130: Ctrl-C).

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
        sys.stderr.write(f"ridehail: {' '.join(str(error).split())}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
