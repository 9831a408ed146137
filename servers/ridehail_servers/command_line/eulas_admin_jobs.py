"""What the commands of `ridehail eulas` that keep agreements do."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import typer
import yaml
from pydantic import Field

from ridehail_clients import (
    Agreement,
    AgreementChange,
    AgreementRecord,
    AsyncAdminEulasClient,
    EulaNotFound,
    EulaUpdatePreview,
    ResignRun,
    ServiceError,
)
from ridehail_servers.chassis import logs
from ridehail_servers.chassis.config import load
from ridehail_servers.eulas.eula_catalogue import Eula

from .options import UsageError
from .progress import JobProgress
from .running_server import RunningServer

_PAUSE_S = 1.0
_PAGE = 100

T = TypeVar("T")


class AgreementFile(Eula):
    """The content of a file with one agreement."""

    position: int = Field(default=0, strict=True, ge=0, le=1_000_000)


def print_list(server: RunningServer, *, with_withdrawn: bool, as_json: bool) -> None:
    async def read(admin: AsyncAdminEulasClient) -> list[AgreementRecord]:
        records: list[AgreementRecord] = []
        while True:
            after = records[-1].agreement.eula_id if records else ""
            page = await admin.list_eula_records(after_eula_id=after, with_withdrawn=with_withdrawn, page_size=_PAGE)
            records += page
            if len(page) < _PAGE:
                return sorted(records, key=lambda one: (one.agreement.position, one.agreement.eula_id))

    _print_all(_call(server, read), _record_line, as_json=as_json)


def print_one(server: RunningServer, eula_id: str, *, as_json: bool) -> None:
    async def read(admin: AsyncAdminEulasClient) -> AgreementRecord:
        # The first change before any: the agreement is what its latest change says.
        found = await admin.list_eula_changes(eula_id=eula_id, page_size=1)
        if not found:
            raise UsageError(f"no agreement {eula_id!r} in the database")
        change = found[0]
        return AgreementRecord(
            agreement=change.agreement,
            version=change.version,
            asks_since=0,
            withdrawn=change.kind == "withdrawn",
            source=change.source,
            actor=change.actor,
            changed_at=change.changed_at,
        )

    record = _call(server, read)
    if as_json:
        typer.echo(json.dumps(_plain(record.agreement) | {"version": record.version, "withdrawn": record.withdrawn}))
        return
    typer.echo(f"# version {record.version}{', withdrawn' * record.withdrawn}")
    typer.echo(yaml.safe_dump(_plain(record.agreement), allow_unicode=True, sort_keys=False), nl=False)


def print_history(
    server: RunningServer, eula_id: str | None, before_version: int | None, limit: int, *, as_json: bool
) -> None:
    async def read(admin: AsyncAdminEulasClient) -> Iterable[AgreementChange]:
        return await admin.list_eula_changes(eula_id=eula_id, before_version=before_version, page_size=limit)

    _print_all(_call(server, read), _change_line, as_json=as_json)


def create(server: RunningServer, file: Path, actor: str, *, as_json: bool) -> None:
    agreement = _agreement(file)
    record = _call(server, lambda admin: admin.create_eula(agreement=agreement, actor=actor))
    _print_all([record], _record_line, as_json=as_json)


def update(
    server: RunningServer, file: Path, expected_version: int, actor: str, *, is_sure: bool, as_json: bool
) -> None:
    """Changes an agreement, once it is certain that as many riders as it says shall decide again."""
    agreement = _agreement(file)
    if not is_sure:
        preview = _call(server, lambda admin: admin.preview_eula_update(agreement=agreement))
        if preview.version == expected_version and preview.asks_again:
            _confirm(preview)
    record = _call(
        server,
        lambda admin: admin.update_eula(agreement=agreement, expected_version=expected_version, actor=actor),
    )
    _print_all([record], _record_line, as_json=as_json)


def withdraw(server: RunningServer, eula_id: str, expected_version: int, actor: str, *, as_json: bool) -> None:
    record = _call(
        server,
        lambda admin: admin.withdraw_eula(eula_id=eula_id, expected_version=expected_version, actor=actor),
    )
    _print_all([record], _record_line, as_json=as_json)


def print_preview(server: RunningServer, file: Path, *, as_json: bool) -> None:
    agreement = _agreement(file)
    preview = _call(server, lambda admin: admin.preview_eula_update(agreement=agreement))
    if as_json:
        typer.echo(json.dumps(_plain(preview)))
        return
    changed = ", ".join(preview.changed_fields) or "nothing"
    typer.echo(f"changes {changed}; {_riders(preview)} would have to decide again")


def print_progress(server: RunningServer, eula_id: str | None, *, watch: bool, as_json: bool) -> None:
    async def read(admin: AsyncAdminEulasClient) -> Iterable[ResignRun]:
        runs = await admin.list_resign_runs(eula_id=eula_id)
        if watch and runs:
            with JobProgress({"marked": runs[0].expected}) as bar:
                while runs[0].state != "done":
                    bar.show("marked", runs[0].marked, _run_line(runs[0]))
                    await asyncio.sleep(_PAUSE_S)
                    runs = await admin.list_resign_runs(eula_id=eula_id)
        return runs

    _print_all(_call(server, read), _run_line, as_json=as_json)


def import_file(server: RunningServer, actor: str, *, dry_run: bool, as_json: bool) -> None:
    found = _call(server, lambda admin: admin.import_eulas(actor=actor, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps(_plain(found)))
        return
    typer.echo(
        f"import{', dry run' * dry_run}: " + " ".join(f"{f.name}={len(getattr(found, f.name))}" for f in fields(found))
    )
    for reason, ids in (("kept as they are in the database", found.kept), ("incomplete", found.incomplete)):
        if ids:
            typer.echo(f"import: {reason}: {', '.join(ids)}", err=True)


def _confirm(preview: EulaUpdatePreview) -> None:
    said = f"{_riders(preview)} will have to decide again"
    if not sys.stdin.isatty():
        raise UsageError(f"{said}: give --yes")
    typer.confirm(f"{said}. Change it?", abort=True)


def _riders(preview: EulaUpdatePreview) -> str:
    return f"{'about ' * preview.is_estimate}{preview.riders} riders"


def _agreement(file: Path) -> Agreement:
    """Reads a file; raises ConfigError, with file, key and reason."""
    content = load(file, AgreementFile)
    return Agreement(**{one.name: getattr(content, one.name) for one in fields(Agreement)})


def _call(server: RunningServer, work: Callable[[AsyncAdminEulasClient], Awaitable[T]]) -> T:
    """Calls eulas; raises UsageError if it refuses or cannot be reached."""
    logs.configure(service="eulas admin", level="WARNING")

    async def call() -> T:
        async with server.async_channel() as channel:
            return await work(AsyncAdminEulasClient(channel, ticket=server.tickets()))

    try:
        return asyncio.run(call())
    except EulaNotFound as error:
        raise UsageError(f"no agreement {error.metadata.get('eula_id')!r} in the database") from error
    except ServiceError as error:
        raise UsageError(str(error)) from error


def _print_all(found: Iterable[T], line: Callable[[T], str], *, as_json: bool) -> None:
    """Prints one JSON object or one line for each."""
    for one in found:
        typer.echo(json.dumps(_plain(one), ensure_ascii=False) if as_json else line(one))


def _plain(message: Any) -> Any:  # a model of the client library
    return json.loads(json.dumps(asdict(message), default=_timestamp))


def _timestamp(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _by(changed_at: datetime | None, actor: str, source: str) -> str:
    return f"{'' if changed_at is None else _timestamp(changed_at)} by {actor} ({source})"


def _record_line(record: AgreementRecord) -> str:
    one = record.agreement
    state = "withdrawn" if record.withdrawn else "in force"
    return (
        f"{one.eula_id}: version={record.version} type={one.type} revision={one.revision} ttl_s={one.ttl_s}"
        f" position={one.position} {state}, {_by(record.changed_at, record.actor, record.source)}"
    )


def _change_line(change: AgreementChange) -> str:
    asks = ", asks again" * change.asks_again
    return (
        f"{change.version} {change.eula_id}: {change.kind} from {change.base_version}{asks},"
        f" {_by(change.changed_at, change.actor, change.source)}"
    )


def _run_line(run: ResignRun) -> str:
    return f"{run.version} {run.eula_id}: {run.state} expected={run.expected} checked={run.checked} marked={run.marked}"
