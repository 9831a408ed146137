"""The retention jobs of `ridehail toll-roads`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console

from ridehail_servers.chassis import logs
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.config import load
from ridehail_servers.chassis.database import Database
from ridehail_servers.toll_roads.config import RetentionConfig, TollRoadsConfig
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.archiving import Archiving
from ridehail_servers.toll_roads.retention.cutoffs import Cutoffs, cutoffs
from ridehail_servers.toll_roads.retention.pace import Pace
from ridehail_servers.toll_roads.retention.progress import Outcome, Progress, Report, Step
from ridehail_servers.toll_roads.retention.purging import OfferPurge, OrderPurge
from ridehail_servers.toll_roads.retention.store import PurgeStore

from .job_database import job_database, job_database_url
from .progress import JobProgress

_SERVICE = "toll-roads"


class _Job(Protocol):
    async def due(self, cutoffs: Cutoffs) -> dict[Step, int]: ...

    async def run(self, cutoffs: Cutoffs, pace: Pace, report: Report) -> bool | None: ...


class RowProgress:
    """Shows what a job does with its rows, and sums it up."""

    def __init__(self, due: Mapping[Step, int], *, console: Console | None = None) -> None:
        """Prepares a bar for each step.

        Args:
            due: The rows that each step will process.
            console: Where to show, or None for standard error.
        """
        self._due = due
        self._counts: Counter[tuple[Step, Outcome]] = Counter()
        self._bars = JobProgress({step.value: rows for step, rows in due.items()}, console=console)

    def __enter__(self) -> Self:
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, traceback)

    def report(self, done: Progress) -> None:
        """Adds what the job has just done."""
        self._counts[done.step, done.outcome] += done.rows
        if done.outcome is not Outcome.KEPT:
            rows = self._counts[done.step, done.outcome]
            self._bars.show(done.step.value, rows, f"{rows} of {self._due[done.step]}")

    def summary(self) -> str:
        """Returns one line with the counts of every step."""
        parts = []
        for step in self._due:
            counts = {outcome: rows for (at, outcome), rows in self._counts.items() if at is step}
            text = " ".join(f"{outcome}={rows}" for outcome, rows in sorted(counts.items()))
            parts.append(f"{step} {text or 'nothing to do'}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options of a job say.

    Attributes:
        database_url: Of the service's database.
        config: How long rows are kept, and the size of batches.
        dry_run: Whether to change nothing.
    """

    database_url: str
    config: RetentionConfig
    dry_run: bool


def settings(
    database_url: str | None, data_dir: Path, config_dir: Path, batch_size: int | None, *, dry_run: bool
) -> Settings:
    """Returns what the options of a job say.

    Args:
        database_url: The option.
        data_dir: Of a running `ridehail up`.
        config_dir: Holds `toll_roads.yaml`.
        batch_size: In the place of the file's.
        dry_run: Whether to change nothing.

    Raises:
        ConfigError: The file is bad.
        UsageError: No database is named.
    """
    config = load(config_dir / "toll_roads.yaml", TollRoadsConfig).retention
    if batch_size is not None:
        config = config.model_copy(update={"batch_size": batch_size})
    return Settings(job_database_url(_SERVICE, database_url, data_dir), config, dry_run)


def purge_offers(settings: Settings) -> None:
    """Deletes old offers.

    Args:
        settings: Of the job.
    """
    asyncio.run(_run("purge-offers", settings, lambda database: OfferPurge(database, PurgeStore())))


def archive(settings: Settings, url: str) -> None:
    """Copies old orders and changes to the archive.

    Args:
        settings: Of the job.
        url: Of the archive's folder.
    """
    asyncio.run(_run("archive", settings, lambda database: Archiving(database, ArchiveStore(), url, system_clock)))


def purge_orders(settings: Settings) -> None:
    """Deletes old orders and changes that are in the archive.

    Args:
        settings: Of the job.
    """
    asyncio.run(_run("purge-orders", settings, lambda database: OrderPurge(database, PurgeStore())))


async def _run(name: str, settings: Settings, job_of: Callable[[Database], _Job]) -> None:
    logs.configure(service=_SERVICE, level="WARNING")
    old = cutoffs(settings.config, system_clock())
    async with job_database(_SERVICE, settings.database_url) as database:
        job = job_of(database)
        due = await job.due(old)
        if settings.dry_run:
            typer.echo(f"{name}, dry run: " + ", ".join(f"{step} due={rows}" for step, rows in due.items()))
            return
        with RowProgress(due) as progress:
            pace = Pace(settings.config.batch_size, settings.config.rest_factor)
            is_done = await job.run(old, pace, progress.report)
    if is_done is False:
        typer.echo(f"{name}: another run is at it, nothing done")
    else:
        typer.echo(f"{name}: {progress.summary()}")
