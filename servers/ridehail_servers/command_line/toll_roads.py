"""`ridehail toll-roads`: the retention jobs by hand, and what is known of an order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer

from ridehail_clients.text_rules import is_id
from ridehail_servers.chassis import logs
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.database import Database
from ridehail_servers.toll_roads.config import LARGEST_BATCH, RetentionConfig, TollRoadsConfig
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.archiving import Archiving
from ridehail_servers.toll_roads.retention.cutoffs import Cutoffs, cutoffs
from ridehail_servers.toll_roads.retention.history import Histories, OrderHistory
from ridehail_servers.toll_roads.retention.pace import Pace
from ridehail_servers.toll_roads.retention.progress import Report, Step
from ridehail_servers.toll_roads.retention.purging import OfferPurge, OrderPurge
from ridehail_servers.toll_roads.retention.store import PurgeStore

from .job_database import job_database, job_database_url
from .options import (
    DEFAULT_DATA_DIR,
    ArchiveUrlOption,
    ConfigDirOption,
    DatabaseUrlOption,
    DataDirOption,
    UsageError,
    archive_url,
    config_dir,
)
from .row_progress import RowProgress

_SERVICE = "toll-roads"

app = typer.Typer(
    name=_SERVICE,
    help="Toll roads: purge and archive old rows, as the task worker does every hour; look an order up.",
    no_args_is_help=True,
)


def _batch_size(text: str) -> int:
    size = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_BATCH)) else 0
    if not 1 <= size <= LARGEST_BATCH:
        raise UsageError(f"--batch-size takes a number from 1 to {LARGEST_BATCH}, not {text!r}")
    return size


_BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        parser=_batch_size,
        metavar="ROWS",
        help="Rows of one transaction; default: batch_size of toll_roads.yaml.",
    ),
]
_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Count what is due, and change nothing.")]


class _Job(Protocol):
    async def due(self, cutoffs: Cutoffs) -> dict[Step, int]: ...

    async def run(self, cutoffs: Cutoffs, pace: Pace, report: Report) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the options of a job say."""

    name: str
    database_url: str
    config: RetentionConfig
    dry_run: bool


@app.command("purge-offers")
def purge_offers(
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    config_dir_option: ConfigDirOption = None,
    batch_size: _BatchSizeOption = None,
    dry_run: _DryRunOption = False,
) -> None:
    """Delete old offers (`offers_kept_h` in toll_roads.yaml; 24 hours)."""
    settings = _settings("purge-offers", database_url, data_dir, config_dir_option, batch_size, dry_run=dry_run)
    asyncio.run(_run(settings, lambda database: OfferPurge(database, PurgeStore())))


@app.command()
def archive(
    database_url: DatabaseUrlOption = None,
    archive_url_option: ArchiveUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    config_dir_option: ConfigDirOption = None,
    batch_size: _BatchSizeOption = None,
    dry_run: _DryRunOption = False,
) -> None:
    """Copy old orders and changes of their road to the archive, each once (`archived_after_h`; 24 hours)."""
    url = archive_url(archive_url_option, data_dir)
    settings = _settings("archive", database_url, data_dir, config_dir_option, batch_size, dry_run=dry_run)
    asyncio.run(_run(settings, lambda database: Archiving(database, ArchiveStore(), url, system_clock)))


@app.command("purge-orders")
def purge_orders(
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    config_dir_option: ConfigDirOption = None,
    batch_size: _BatchSizeOption = None,
    dry_run: _DryRunOption = False,
) -> None:
    """Delete old orders and changes that are in the archive, and old refused reports (`orders_kept_h`; 48 hours)."""
    settings = _settings("purge-orders", database_url, data_dir, config_dir_option, batch_size, dry_run=dry_run)
    asyncio.run(_run(settings, lambda database: OrderPurge(database, PurgeStore())))


@app.command()
def history(
    order_id: Annotated[str, typer.Argument(help="The order.", metavar="ORDER_ID")],
    database_url: DatabaseUrlOption = None,
    archive_url_option: ArchiveUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print all that database and archive know of an order, and where each row is."""
    if not is_id(order_id):
        raise UsageError("an order's id has 1 to 128 printable characters")
    url = archive_url(archive_url_option, data_dir)
    postgres = job_database_url(_SERVICE, database_url, data_dir)

    async def look_up() -> OrderHistory:
        async with job_database(_SERVICE, postgres) as database:
            return await Histories(database, ArchiveStore(), url).of(order_id)

    logs.configure(service=_SERVICE, level="WARNING")
    found = asyncio.run(look_up())
    typer.echo(json.dumps(_json(order_id, found)) if as_json else _table(order_id, found))


def _settings(
    name: str,
    database_url: str | None,
    data_dir: Path,
    config_folder: Path | None,
    batch_size: int | None,
    *,
    dry_run: bool,
) -> _Settings:
    config = load(config_dir(config_folder) / "toll_roads.yaml", TollRoadsConfig).retention
    if batch_size is not None:
        config = config.model_copy(update={"batch_size": batch_size})
    return _Settings(name, job_database_url(_SERVICE, database_url, data_dir), config, dry_run)


async def _run(settings: _Settings, job_of: Callable[[Database], _Job]) -> None:
    logs.configure(service=_SERVICE, level="WARNING")
    old = cutoffs(settings.config, system_clock())
    async with job_database(_SERVICE, settings.database_url) as database:
        job = job_of(database)
        due = await job.due(old)
        if settings.dry_run:
            typer.echo(f"{settings.name}, dry run: " + ", ".join(f"{step} due={rows}" for step, rows in due.items()))
            return
        with RowProgress(due) as progress:
            pace = Pace(settings.config.batch_size, settings.config.rest_factor)
            is_done = await job.run(old, pace, progress.report)
    if is_done is False:
        typer.echo(f"{settings.name}: another run is at it, nothing done")
    else:
        typer.echo(f"{settings.name}: {progress.summary()}")


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _json(order_id: str, found: OrderHistory) -> dict[str, object]:
    order = found.order
    return {
        "order_id": order_id,
        "order": order
        and {
            "created": _moment(order.row.created_at),
            "offer_id": order.row.offer_id,
            "can_switch_road": order.row.can_switch_road,
            "where": order.place.value,
        },
        "changes": [
            {
                "created": _moment(change.row.created_at),
                "has_toll_road": change.row.has_toll_road,
                "where": change.place.value,
            }
            for change in found.changes
        ],
    }


def _table(order_id: str, found: OrderHistory) -> str:
    lines = [f"order {order_id}"]
    if found.order is not None:
        row = found.order.row
        switch = "may be switched" if row.can_switch_road else "may not be switched"
        lines.append(f"created {_moment(row.created_at)}, offer {row.offer_id or 'none'}, the road {switch}")
        lines.append(f"in {found.order.place}")
    changes = [("created", "road", "in")]
    changes += [
        (_moment(it.row.created_at), "toll" if it.row.has_toll_road else "free", it.place.value) for it in found.changes
    ]
    widths = [max(map(len, column)) for column in zip(*changes, strict=True)]
    cells = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in changes]
    return "\n".join([*lines, "", *("  ".join(line).rstrip() for line in cells)])
