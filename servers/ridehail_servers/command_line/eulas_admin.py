"""`ridehail eulas list`, `create`, ...: keeps the agreements of the database, by calls of a running eulas."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from .running_server import RunningServer, on_a_server

_on_a_server = on_a_server("eulas")

_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_ActorOption = Annotated[
    str | None,
    typer.Option("--actor", help="Who makes the change, for the history; default: the user of this machine."),
]
_VersionOption = Annotated[
    int, typer.Option("--expected-version", min=1, help="The version that the change starts from, as `list` shows it.")
]
_EulaArgument = Annotated[str, typer.Argument(help="The agreement.", metavar="EULA_ID")]
_OptionalEulaArgument = Annotated[str | None, typer.Argument(help="Only this agreement.", metavar="EULA_ID")]
_FileArgument = Annotated[
    Path,
    typer.Argument(
        help="The agreement in YAML, as an entry of EULAS in eulas.yaml and as `show` prints it; `position` says where"
        " lists show it.",
        metavar="FILE.yaml",
    ),
]
_YesOption = Annotated[bool, typer.Option("--yes", help="Change it, however many riders have to decide again.")]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands to `ridehail eulas`."""
    app.command("list")(_on_a_server(list_))
    for command in (show, history, create, update, withdraw, preview, progress):
        app.command()(_on_a_server(command))
    app.command("import-file")(_on_a_server(import_file))


def list_(
    server: RunningServer,
    with_withdrawn: Annotated[bool, typer.Option("--withdrawn", help="List withdrawn ones too.")] = False,
    as_json: _JsonOption = False,
) -> None:
    """List the agreements of the database, in the order in which apps show them."""
    from . import eulas_admin_jobs as jobs

    jobs.print_list(server, with_withdrawn=with_withdrawn, as_json=as_json)


def show(
    server: RunningServer,
    eula_id: _EulaArgument,
    as_json: _JsonOption = False,
) -> None:
    """Print an agreement as a file for `update`, its version in a comment."""
    from . import eulas_admin_jobs as jobs

    jobs.print_one(server, eula_id, as_json=as_json)


def history(
    server: RunningServer,
    eula_id: _OptionalEulaArgument = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="How many changes.")] = 20,
    before_version: Annotated[
        int | None, typer.Option("--before-version", min=1, help="Only changes before this one.")
    ] = None,
    as_json: _JsonOption = False,
) -> None:
    """Print who did what with the agreements of the database, the latest first."""
    from . import eulas_admin_jobs as jobs

    jobs.print_history(server, eula_id, before_version, limit, as_json=as_json)


def create(
    server: RunningServer,
    file: _FileArgument,
    actor: _ActorOption = None,
    as_json: _JsonOption = False,
) -> None:
    """Create an agreement. Safe to repeat."""
    from . import eulas_admin_jobs as jobs

    jobs.create(server, file, actor or getpass.getuser(), as_json=as_json)


def update(
    server: RunningServer,
    file: _FileArgument,
    expected_version: _VersionOption,
    yes: _YesOption = False,
    actor: _ActorOption = None,
    as_json: _JsonOption = False,
) -> None:
    """Change an agreement, or bring a withdrawn one back. Safe to repeat.

    If `ttl_s` or `revision` changes, it says how many riders have to decide again and asks first, or needs --yes.
    """
    from . import eulas_admin_jobs as jobs

    jobs.update(server, file, expected_version, actor or getpass.getuser(), is_sure=yes, as_json=as_json)


def withdraw(
    server: RunningServer,
    eula_id: _EulaArgument,
    expected_version: _VersionOption,
    actor: _ActorOption = None,
    as_json: _JsonOption = False,
) -> None:
    """Take an agreement out of force. Safe to repeat; `update` brings it back."""
    from . import eulas_admin_jobs as jobs

    jobs.withdraw(server, eula_id, expected_version, actor or getpass.getuser(), as_json=as_json)


def preview(
    server: RunningServer,
    file: _FileArgument,
    as_json: _JsonOption = False,
) -> None:
    """Print what `update` would change and how many riders would have to decide again. Changes nothing."""
    from . import eulas_admin_jobs as jobs

    jobs.print_preview(server, file, as_json=as_json)


def progress(
    server: RunningServer,
    eula_id: _OptionalEulaArgument = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show a bar until the latest of them is done.")] = False,
    as_json: _JsonOption = False,
) -> None:
    """Print how far the tasks are that mark riders who have to decide again, the latest first."""
    from . import eulas_admin_jobs as jobs

    jobs.print_progress(server, eula_id, watch=watch, as_json=as_json)


def import_file(
    server: RunningServer,
    actor: _ActorOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    as_json: _JsonOption = False,
) -> None:
    """Copy EULAS of the server's eulas.yaml into the database: what it lacks, and what only imports have changed there.

    Safe to repeat. Nobody is asked again by it, and nothing is withdrawn.
    """
    from . import eulas_admin_jobs as jobs

    jobs.import_file(server, actor or getpass.getuser(), dry_run=dry_run, as_json=as_json)
