"""The jobs of `ridehail toll-roads`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console

from ridehail_kernel.text_rules import is_id
from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.row_counts import RowCount
from ridehail_servers.toll_roads.config import TollRoadsConfig
from ridehail_servers.toll_roads.retention.archive_job import ArchiveJob
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.history import OrderHistory, order_history
from ridehail_servers.toll_roads.retention.job import (
    Cutoffs,
    JobStep,
    ReportProgress,
    RowOutcome,
    StepProgress,
    cutoffs,
)
from ridehail_servers.toll_roads.retention.purge_jobs import OfferPurgeJob, OrderPurgeJob
from ridehail_servers.toll_roads.retention.purge_store import PurgeStore

from .job import run_job
from .options import UsageError
from .progress import JobProgress

_SERVICE = "toll-roads"


class _Job(Protocol):
    async def due(self, cutoffs: Cutoffs, how: RowCount) -> dict[JobStep, int]: ...

    async def run(self, cutoffs: Cutoffs, throttle: BatchThrottle, report: ReportProgress) -> bool | None: ...


class RowProgress:
    """Shows what a job does with its rows, and sums it up."""

    def __init__(self, due: Mapping[JobStep, int], *, console: Console | None = None) -> None:
        """Prepares a bar for each step: about as many rows are due."""
        self._due = due
        self._counts: Counter[tuple[JobStep, RowOutcome]] = Counter()
        self._bars = JobProgress({step.value: rows for step, rows in due.items()}, console=console)

    def __enter__(self) -> Self:
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, traceback)

    def report(self, done: StepProgress) -> None:
        """Adds what the job has just done."""
        self._counts[done.step, done.outcome] += done.rows
        if done.outcome is not RowOutcome.KEPT:
            rows = self._counts[done.step, done.outcome]
            self._bars.show(done.step.value, rows, f"{rows} of about {self._due[done.step]}")

    def summary(self) -> str:
        """Returns one line with the counts of every step."""
        parts = []
        for step in self._due:
            counts = {outcome: rows for (at, outcome), rows in self._counts.items() if at is step}
            text = " ".join(f"{outcome}={rows}" for outcome, rows in sorted(counts.items()))
            parts.append(f"{step} {text or 'nothing to do'}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """The options that the retention jobs share.

    Without `database_url` it is the database of a running `ridehail up`; `batch_size` overrides `toll_roads.yaml`.
    """

    database_url: str | None
    data_dir: Path
    config_dir: Path
    batch_size: int | None
    dry_run: bool


def purge_offers(options: RetentionOptions) -> None:
    _run_retention("purge-offers", options, lambda database: OfferPurgeJob(database, PurgeStore()))


def archive(options: RetentionOptions, archive_url: str) -> None:
    _run_retention("archive", options, lambda database: ArchiveJob(database, ArchiveStore(), archive_url, system_clock))


def purge_orders(options: RetentionOptions) -> None:
    _run_retention("purge-orders", options, lambda database: OrderPurgeJob(database, PurgeStore()))


def _run_retention(name: str, options: RetentionOptions, job_of: Callable[[Database], _Job]) -> None:
    config = load(options.config_dir / "toll_roads.yaml", TollRoadsConfig).retention
    batch_size = config.batch_size if options.batch_size is None else options.batch_size
    old = cutoffs(config, system_clock())

    async def run(database: Database) -> str:
        job = job_of(database)
        if options.dry_run:
            due = await job.due(old, RowCount.EXACT)
            return f"{name}, dry run: " + ", ".join(f"{step} due={rows}" for step, rows in due.items())
        with RowProgress(await job.due(old, RowCount.ESTIMATED)) as progress:
            is_done = await job.run(old, BatchThrottle(batch_size, config.rest_factor), progress.report)
        return f"{name}: {'another run is at it, nothing done' if is_done is False else progress.summary()}"

    typer.echo(run_job(_SERVICE, options.database_url, options.data_dir, run))


def print_history(
    order_id: str, database_url: str | None, data_dir: Path, archive_urls: Sequence[str], *, as_json: bool
) -> None:
    """Prints what database and archives hold of an order, as JSON or as a table."""
    if not is_id(order_id):
        raise UsageError("an order's id has 1 to 128 printable characters")
    found = run_job(
        _SERVICE,
        database_url,
        data_dir,
        lambda database: order_history(database, ArchiveStore(), archive_urls, order_id),
    )
    typer.echo(json.dumps(_json(order_id, found)) if as_json else _table(order_id, found))


def _timestamp(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _json(order_id: str, found: OrderHistory) -> dict[str, object]:
    order = found.order
    return {
        "order_id": order_id,
        "order": order
        and {
            "created": _timestamp(order.row.created_at),
            "offer_id": order.row.offer_id,
            "can_switch_road": order.row.can_switch_road,
            "where": order.location.value,
        },
        "changes": [
            {
                "created": _timestamp(change.row.created_at),
                "has_toll_road": change.row.has_toll_road,
                "where": change.location.value,
            }
            for change in found.changes
        ],
    }


def _table(order_id: str, found: OrderHistory) -> str:
    lines = [f"order {order_id}"]
    if found.order is not None:
        row = found.order.row
        switch = "may be switched" if row.can_switch_road else "may not be switched"
        lines.append(f"created {_timestamp(row.created_at)}, offer {row.offer_id or 'none'}, the road {switch}")
        lines.append(f"in {found.order.location}")
    changes = [("created", "road", "in")]
    changes += [
        (_timestamp(it.row.created_at), "toll" if it.row.has_toll_road else "free", it.location.value)
        for it in found.changes
    ]
    widths = [max(map(len, column)) for column in zip(*changes, strict=True)]
    cells = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in changes]
    return "\n".join([*lines, "", *("  ".join(line).rstrip() for line in cells)])
