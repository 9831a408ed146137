"""The job of `ridehail personalstate`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

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
from ridehail_servers.user_state.copying import CopyCounts, CopyJob, EndpointUnavailable, PageTooLarge

from .options import UsageError
from .personalstate import BackEndName
from .progress import JobProgress

_CALLER = "admin"
_PAUSE_S = 1.0
_STEP = "copy"
_TRANSIENT = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


def copy_states(
    names: Sequence[BackEndName], addresses: Sequence[str], keys_dir: Path, *, follow: bool, dry_run: bool
) -> None:
    """Copies states from one back end to the other. Raises UsageError if one refuses a call or is unavailable."""
    logs.configure(service="personalstate", level="WARNING")
    tickets = TicketIssuer(KeyRing(keys_dir), _CALLER)
    try:
        asyncio.run(_copy(names, addresses, tickets, follow=follow, dry_run=dry_run))
    except ServiceError as error:
        raise UsageError(str(error)) from error
    except EndpointUnavailable as error:
        raise UsageError(f"{error}; what was copied is kept, and a repeat goes on") from error


async def _copy(
    names: Sequence[BackEndName], addresses: Sequence[str], tickets: TicketIssuer, *, follow: bool, dry_run: bool
) -> None:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        source, destination = [
            RemoteEndpoint(name, await stack.enter_async_context(_client(name, address, tickets)))
            for name, address in zip(names, addresses, strict=True)
        ]
        bar = stack.enter_context(JobProgress({_STEP: None}))
        job = CopyJob(source, destination, system_clock)
        if follow:
            typer.echo(f"{_STEP}: follows {names[0]}; Ctrl-C ends it", err=True)
            await job.follow(lambda done: _show(bar, done), _pause)
        done = await job.run(lambda done: _show(bar, done), dry_run=dry_run)
    seconds = time.monotonic() - began
    counts = f"listed={done.listed} due={done.stored}" if dry_run else _summary(done)
    typer.echo(f"{_STEP}{', dry run' if dry_run else ''}: {counts} in {seconds:.1f} s")


class RemoteEndpoint:
    """A back end, called by its client."""

    def __init__(self, name: BackEndName, client: AsyncUserStateClient | AsyncProtocolClient) -> None:
        self._name = name
        self._client = client

    async def list_states(
        self, after_yandex_uid: str, changed_since: datetime | None, page_size: int
    ) -> Sequence[PersonalStateCopy]:
        try:
            return await self._client.list_personal_states(
                after_yandex_uid=after_yandex_uid, changed_since=changed_since, page_size=page_size
            )
        except ServiceError as error:
            if isinstance(error, ResponseTooLarge):
                raise PageTooLarge from error
            raise self._translate(error) from error

    async def import_states(self, states: Sequence[PersonalStateCopy]) -> int:
        try:
            return await self._client.import_personal_states(states=states)
        except ServiceError as error:
            raise self._translate(error) from error

    def _translate(self, error: ServiceError) -> Exception:
        is_transient = error.code in _TRANSIENT or error.retry_after is not None or isinstance(error, CallTimedOut)
        return EndpointUnavailable(f"{self._name}: {error}") if is_transient else error


def _client(name: BackEndName, address: str, tickets: TicketIssuer) -> AsyncUserStateClient | AsyncProtocolClient:
    client = AsyncUserStateClient if name is BackEndName.USER_STATE else AsyncProtocolClient
    return client(address, ticket=tickets)


async def _pause(failure: EndpointUnavailable | None) -> None:
    if failure is not None:
        typer.echo(f"{_STEP}: {failure}; goes on", err=True)
    await asyncio.sleep(_PAUSE_S)


def _show(bar: JobProgress, done: CopyCounts) -> None:
    bar.show(_STEP, done.listed, _summary(done))


def _summary(done: CopyCounts) -> str:
    return f"listed={done.listed} stored={done.stored}"
