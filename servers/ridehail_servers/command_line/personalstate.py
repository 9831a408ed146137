"""`ridehail personalstate`: copies states between the two back ends."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from .options import DEFAULT_DATA_DIR, AddressOption, DataDirOption, KeysDirOption, UsageError, given_addresses

_LOCAL_ADDRESS = "127.0.0.1:50051"

app = typer.Typer(
    name="personalstate",
    help="Personal states: copy them from one back end to the other.",
    no_args_is_help=True,
)


class BackEndName(StrEnum):
    """The services that store personal states."""

    PROTOCOL = "protocol"
    USER_STATE = "user-state"


@app.callback()
def _commands() -> None:
    """Keeps `copy` a command of its own: typer would run a lone one without its name."""


@app.command()
def copy(
    source: Annotated[BackEndName, typer.Option("--from", help="The back end to copy from.")],
    destination: Annotated[BackEndName, typer.Option("--to", help="The back end to copy to.")],
    address: AddressOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    keys_dir: KeysDirOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what changes, every second, until Ctrl-C.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be stored, and change nothing.")] = False,
) -> None:
    """Copy personal states, each if it is of a higher revision than what is there.

    Safe to repeat, after a run that was killed, and several at once. Without --address both back ends are looked for
    where `ridehail up` serves by default.
    """
    if source is destination:
        raise UsageError("--from and --to must be two back ends")
    if follow and dry_run:
        raise UsageError("--follow and --dry-run do not go together")
    addresses = [_address(name, address) for name in (source, destination)]
    from . import personalstate_jobs as jobs

    jobs.copy_states(
        (source, destination), addresses, (keys_dir or data_dir / "keys") / "tickets", follow=follow, dry_run=dry_run
    )


def _address(name: BackEndName, given: list[str] | None) -> str:
    if not given:
        return _LOCAL_ADDRESS
    known = given_addresses(given)
    if name not in known:
        raise UsageError(f"give --address {name}=HOST:PORT")
    return known[name]
