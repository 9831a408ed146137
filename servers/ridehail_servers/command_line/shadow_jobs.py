"""The job of `ridehail shadow`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.user_state.redaction import Mismatch
from ridehail_servers.user_state.report import ComparisonReport, Totals
from ridehail_servers.user_state.report_store import ReportStore

from .job import run_job


def print_report(since: timedelta, database_url: str | None, data_dir: Path, *, as_json: bool) -> None:
    """Prints how often the two back ends' responses differ, and where, as JSON or as text."""
    begin = system_clock() - since

    async def read(database: Database) -> ComparisonReport:
        async with database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return await ReportStore().report(connection, begin)

    report = run_job("user-state", database_url, data_dir, read)
    typer.echo(json.dumps(_as_json(report), indent=2) if as_json else "\n".join(_lines(report)))


def _lines(report: ComparisonReport) -> Iterator[str]:
    yield f"since {_timestamp(report.since)}"
    for kind, totals in report.totals.items():
        yield f"{kind}: {_counts(totals)}"
    if not report.kept:
        return
    yield f"where the {report.kept} mismatches that are kept differ:"
    for place in report.places:
        yield f"  {place.mismatches:>7}  {place.kind}  {place.path or '(the whole body)'}"
    yield "the latest:"
    for sample in report.samples:
        yield from _sample_lines(sample)


def _counts(totals: Totals) -> str:
    rate = totals.rate()
    counts = f"equal={totals.equal} different={totals.different} behind={totals.behind}"
    if rate is None:
        return counts
    return f"{counts}; {rate.share:.4%} differ (95 %: {rate.lowest:.4%} to {rate.highest:.4%})"


def _sample_lines(sample: Mismatch) -> Iterator[str]:
    statuses = " -> ".join(str(one) for one in dict.fromkeys((sample.old_status, sample.new_status)))
    yield f"  {_timestamp(sample.at)}  {sample.kind}  {statuses}  request {sample.request_id}"
    for one in sample.differences:
        yield f"    {one.path or '(the whole body)'}: {one.old_type} -> {one.new_type}"


def _timestamp(time: datetime) -> str:
    return time.isoformat(timespec="seconds")


def _as_json(report: ComparisonReport) -> dict[str, Any]:
    totals = {
        kind.value: {**asdict(one), "rate": None if (rate := one.rate()) is None else asdict(rate)}
        for kind, one in report.totals.items()
    }
    return {
        "since": _timestamp(report.since),
        "totals": totals,
        "kept": report.kept,
        "places": [asdict(place) for place in report.places],
        "samples": [_sample_json(sample) for sample in report.samples],
    }


def _sample_json(sample: Mismatch) -> dict[str, Any]:
    differences = [{"path": one.path, "old_type": one.old_type, "new_type": one.new_type} for one in sample.differences]
    return {**asdict(sample), "at": _timestamp(sample.at), "differences": differences}
