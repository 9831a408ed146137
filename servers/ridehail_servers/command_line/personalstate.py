"""`ridehail personalstate`: states are copied between the two back ends that keep them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import grpc
import typer

from ridehail_clients import (
    AsyncProtocolClient,
    AsyncUserStateClient,
    CallTimedOut,
    PersonalStateCopy,
    ResponseTooLarge,
    ServiceError,
)
from ridehail_servers.chassis import logs
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.user_state.copying import BackEndUnavailable, Copied, Copying, PageTooLarge

from .job_progress import JobProgress
from .options import DEFAULT_DATA_DIR, AddressOption, DataDirOption, KeysDirOption, UsageError, given_addresses

_CALLER = "admin"
_LOCAL_ADDRESS = "127.0.0.1:50051"
_PASSES_BEGIN_AFTER_S = 1.0
_STEP = "copy"
_PASSES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})

app = typer.Typer(
    name="personalstate",
    help="Personal states: copy them from one back end to the other.",
    no_args_is_help=True,
)


class BackEndName(StrEnum):
    """The services that keep personal states."""

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
    logs.configure(service="personalstate", level="WARNING")
    tickets = TicketIssuer(KeyRing((keys_dir or data_dir / "keys") / "tickets"), _CALLER)
    places = [_address(name, address) for name in (source, destination)]
    try:
        asyncio.run(_copy((source, destination), places, tickets, follow=follow, dry=dry_run))
    except ServiceError as error:
        raise UsageError(str(error)) from error
    except BackEndUnavailable as error:
        raise UsageError(f"{error}; what was copied is kept, and a repeat goes on") from error


async def _copy(
    names: Sequence[BackEndName], places: Sequence[str], tickets: TicketIssuer, *, follow: bool, dry: bool
) -> None:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        source, destination = [
            _BackEnd(name, await stack.enter_async_context(_client(name, place, tickets)))
            for name, place in zip(names, places, strict=True)
        ]
        bar = stack.enter_context(JobProgress({_STEP: None}))
        job = Copying(source, destination, system_clock)
        if follow:
            typer.echo(f"{_STEP}: follows {names[0]}; Ctrl-C ends it", err=True)
            await job.follow(lambda done: _show(bar, done), _pause)
        done = await job.run(lambda done: _show(bar, done), dry=dry)
    seconds = time.monotonic() - began
    told = f"listed={done.listed} due={done.stored}" if dry else _told(done)
    typer.echo(f"{_STEP}{', dry run' if dry else ''}: {told} in {seconds:.1f} s")


class _BackEnd:
    """A back end, called by its client."""

    def __init__(self, name: BackEndName, client: AsyncUserStateClient | AsyncProtocolClient) -> None:
        self._name = name
        self._client = client

    async def list_states(
        self, after_yandex_uid: str, changed_since: datetime | None, page_size: int
    ) -> Sequence[PersonalStateCopy]:
        """See BackEnd."""
        try:
            return await self._client.list_personal_states(
                after_yandex_uid=after_yandex_uid, changed_since=changed_since, page_size=page_size
            )
        except ServiceError as error:
            if isinstance(error, ResponseTooLarge):
                raise PageTooLarge from error
            raise self._translated(error) from error

    async def import_states(self, states: Sequence[PersonalStateCopy]) -> int:
        """See BackEnd."""
        try:
            return await self._client.import_personal_states(states=states)
        except ServiceError as error:
            raise self._translated(error) from error

    def _translated(self, error: ServiceError) -> Exception:
        may_pass = error.code in _PASSES or error.retry_after is not None or isinstance(error, CallTimedOut)
        return BackEndUnavailable(f"{self._name}: {error}") if may_pass else error


def _client(name: BackEndName, address: str, tickets: TicketIssuer) -> AsyncUserStateClient | AsyncProtocolClient:
    client = AsyncUserStateClient if name is BackEndName.USER_STATE else AsyncProtocolClient
    return client(address, ticket=tickets)


def _address(name: BackEndName, given: Sequence[str] | None) -> str:
    if not given:
        return _LOCAL_ADDRESS
    known = given_addresses(given)
    if name not in known:
        raise UsageError(f"give --address {name}=HOST:PORT")
    return known[name]


async def _pause(failure: BackEndUnavailable | None) -> None:
    if failure is not None:
        typer.echo(f"{_STEP}: {failure}; goes on", err=True)
    await asyncio.sleep(_PASSES_BEGIN_AFTER_S)


def _show(bar: JobProgress, done: Copied) -> None:
    bar.show(_STEP, done.listed, _told(done))


def _told(done: Copied) -> str:
    return f"listed={done.listed} stored={done.stored}"
