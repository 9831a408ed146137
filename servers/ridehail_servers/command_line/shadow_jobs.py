"""What `ridehail shadow report` prints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from ridehail_servers.chassis import logs
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.user_state.report import ComparisonReport, Sample, Totals
from ridehail_servers.user_state.report_store import ReportStore

from .job_database import job_database, job_database_url

_SERVICE = "user-state"


def print_report(since: timedelta, database_url: str | None, data_dir: Path, *, as_json: bool) -> None:
    """Prints how often the two back ends' answers differ, and where.

    Args:
        since: How far back.
        database_url: The option.
        data_dir: Of a running `ridehail up`.
        as_json: Whether as JSON instead of text.

    Raises:
        UsageError: No database is named.
    """
    logs.configure(service=_SERVICE, level="WARNING")
    found = asyncio.run(_read(job_database_url(_SERVICE, database_url, data_dir), system_clock() - since))
    typer.echo(json.dumps(_as_json(found), indent=2) if as_json else "\n".join(_lines(found)))


async def _read(url: str, since: datetime) -> ComparisonReport:
    async with job_database(_SERVICE, url) as database, database.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return await ReportStore().report(connection, since)


def _lines(found: ComparisonReport) -> Iterator[str]:
    yield f"since {_moment(found.since)}"
    for kind, totals in found.totals.items():
        yield f"{kind}: {_told(totals)}"
    if not found.kept:
        return
    yield f"where the {found.kept} mismatches that are kept differ:"
    for place in found.places:
        yield f"  {place.mismatches:>7}  {place.kind}  {place.path or '(the whole body)'}"
    yield "the latest:"
    for sample in found.samples:
        yield from _sample_lines(sample)


def _told(totals: Totals) -> str:
    rate = totals.rate()
    counts = f"equal={totals.equal} different={totals.different} behind={totals.behind}"
    if rate is None:
        return counts
    return f"{counts}; {rate.share:.4%} differ (95 %: {rate.lowest:.4%} to {rate.highest:.4%})"


def _sample_lines(sample: Sample) -> Iterator[str]:
    statuses = f"{sample.old_status}" if sample.old_status == sample.new_status else _change(sample)
    yield f"  {_moment(sample.at)}  {sample.kind}  {statuses}  request {sample.request_id}"
    for one in sample.differences:
        yield f"    {one.path or '(the whole body)'}: {one.old_type} -> {one.new_type}"


def _change(sample: Sample) -> str:
    return f"{sample.old_status} -> {sample.new_status}"


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _as_json(found: ComparisonReport) -> dict[str, Any]:
    totals = {
        kind.value: {**asdict(one), "rate": None if (rate := one.rate()) is None else asdict(rate)}
        for kind, one in found.totals.items()
    }
    return {
        "since": _moment(found.since),
        "totals": totals,
        "kept": found.kept,
        "places": [asdict(place) for place in found.places],
        "samples": [{**asdict(sample), "at": _moment(sample.at)} for sample in found.samples],
    }
