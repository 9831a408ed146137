"""`ridehail user-data`: exports and erases the data of one user over all services."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import UsageError
from .running_server import RunningServer, on_a_server

_on_a_server = on_a_server("user-data")

app = typer.Typer(
    name="user-data", help="A user's own data: export or erase it over all services.", no_args_is_help=True
)

_UidOption = Annotated[str, typer.Option("--uid", help="The user's account.")]
_PhonesOption = Annotated[
    list[str] | None,
    typer.Option("--phone-id", help="A phone of the user that no service may know any more. May be repeated."),
]
_RequestedByOption = Annotated[
    str, typer.Option("--requested-by", help="Who asks, as in the number of a ticket. It stays in the receipt.")
]
_JobArgument = Annotated[str, typer.Argument(help="The job's id.", metavar="JOB")]


@app.command()
@_on_a_server
def export(
    server: RunningServer,
    uid: _UidOption,
    requested_by: _RequestedByOption,
    out: Annotated[Path, typer.Option("--out", help="The folder for the files; manifest.json is written last.")],
    phone_id: _PhonesOption = None,
) -> None:
    """Export all that services keep of a user: a JSON file for each service, and a manifest. Safe to repeat."""
    from . import user_data_jobs as jobs

    jobs.export(server, uid, phone_id or (), requested_by, out)


@app.command()
@_on_a_server
def erase(
    server: RunningServer,
    uid: _UidOption,
    requested_by: _RequestedByOption,
    phone_id: _PhonesOption = None,
) -> None:
    """Start to erase all that services keep of a user. Prints the job and the key of its receipt. Safe to repeat.

    A background task does it: see `ridehail user-data status`. While an order of the user is under way it waits.
    """
    from . import user_data_jobs as jobs

    jobs.erase(server, uid, phone_id or (), requested_by)


@app.command()
@_on_a_server
def status(
    server: RunningServer,
    job: _JobArgument,
) -> None:
    """Show how far a job is: a line for the job and one for each service."""
    from . import user_data_jobs as jobs

    jobs.status(server, job)


@app.command()
@_on_a_server
def receipt(
    server: RunningServer,
    job: _JobArgument,
    uid: Annotated[str | None, typer.Option("--uid", help="Check that the receipt is about this account ...")] = None,
    receipt_key: Annotated[str | None, typer.Option("--receipt-key", help="... by the key of the receipt.")] = None,
) -> None:
    """Print a job's receipt as JSON; with --uid and --receipt-key, fail unless it is about that user."""
    if (uid is None) != (receipt_key is None):
        raise UsageError("--uid and --receipt-key go together")
    from . import user_data_jobs as jobs

    jobs.receipt(server, job, uid, receipt_key)
