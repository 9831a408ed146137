"""The job of `ridehail order-state`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.order_state.invalid_part_store import InvalidPartStore
from ridehail_servers.order_state.invalid_parts import Incident, ShapeSample

from .job import run_job

Counts = Sequence[tuple[Incident, int]]


def print_invalid_parts(since: timedelta, database_url: str | None, data_dir: Path, *, as_json: bool) -> None:
    """Prints counts and samples of invalid parts, as JSON or as text."""
    begin, store = system_clock() - since, InvalidPartStore()

    async def read(database: Database) -> tuple[Counts, Sequence[ShapeSample]]:
        async with database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return await store.counts_since(connection, begin), await store.samples_since(connection, begin)

    counts, samples = run_job("order-state", database_url, data_dir, read)
    if as_json:
        typer.echo(json.dumps(_as_json(begin, counts, samples), indent=2))
    else:
        typer.echo("\n".join(_lines(begin, counts, samples)))


def _lines(since: datetime, counts: Counts, samples: Sequence[ShapeSample]) -> Iterator[str]:
    yield f"since {_timestamp(since)}: {sum(count for _, count in counts)} invalid parts"
    for incident, count in counts:
        yield f"{count:>9}  {' '.join(incident)}"
    if samples:
        yield "shapes, the latest first:"
    for one in samples:
        yield f"  {' '.join(one.incident)}: {one.count} from {_timestamp(one.first_at)} to {_timestamp(one.last_at)}"
        for path, kind in one.shape:
            yield f"    {path}: {kind}"


def _as_json(since: datetime, counts: Counts, samples: Sequence[ShapeSample]) -> dict[str, Any]:
    return {
        "since": _timestamp(since),
        "counts": [{**incident._asdict(), "count": count} for incident, count in counts],
        "samples": [
            {
                **one.incident._asdict(),
                "count": one.count,
                "first_at": _timestamp(one.first_at),
                "last_at": _timestamp(one.last_at),
                "shape": [{"path": path, "type": kind} for path, kind in one.shape],
            }
            for one in samples
        ],
    }


def _timestamp(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
