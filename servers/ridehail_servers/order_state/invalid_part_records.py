"""Records what apps report of invalid parts. Reports that come together share one transaction."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cachetools import LRUCache
from prometheus_client import Counter as Metric

from ridehail_kernel import call_context
from ridehail_kernel.coalescing import Coalescer
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import DatabaseUnavailable

from .config import OrderStateConfig
from .invalid_part_store import InvalidPartStore
from .invalid_parts import Incident, InvalidPartCounts, ReportedPart, Shape, ShapeSample, counts_of, merged, shape_id

INVALID_PARTS = Metric(
    "ridehail_order_state_invalid_parts",
    "Parts that apps fetched and could not put together, by the service that keeps the order, the part (other: not in"
    " the polling policy) and the problem.",
    ("provider", "part_name", "problem"),
)
INVALID_PART_REPORTS = Metric(
    "ridehail_order_state_invalid_part_reports",
    "Reports of invalid parts, by result: recorded, or early (the app had reported a short while ago).",
    ("result",),
)

# The latest riders whose time of reporting is remembered, as a number that nobody can trace back.
_MAX_RIDERS: Final = 100_000
_WRITE_S: Final = 1.5
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ReportReceipt:
    """What becomes of a report.

    Attributes:
        recorded: Whether it was recorded; else it came too early.
        next_report_ms: Milliseconds until the rider's app may report again.
    """

    recorded: bool
    next_report_ms: int


class InvalidPartRecords:
    """Counts invalid parts, and keeps samples of their shapes."""

    def __init__(
        self, database: Database, store: InvalidPartStore, config: Callable[[], OrderStateConfig], clock: Clock
    ) -> None:
        self._database = database
        self._store = store
        self._config = config
        self._clock = clock
        self._reported_at: LRUCache[int, datetime] = LRUCache(_MAX_RIDERS)
        # One transaction at a time: whatever apps report, a process takes one connection for it.
        self._writes: Coalescer[InvalidPartCounts, bool] = Coalescer(self._write, max_concurrent=1)

    async def record(self, yandex_uid: str, parts: Sequence[ReportedPart]) -> ReportReceipt:
        """Records a report, unless the rider's app has made one a short while ago.

        Raises:
            DatabaseUnavailable: It is not recorded, or that is not known.
        """
        config, now, rider = self._config(), self._clock(), hash(yandex_uid)
        interval = timedelta(seconds=config.invalid_parts.report_interval_s)
        wait = self._reported_at.get(rider, now - interval) + interval - now
        if wait > timedelta():
            INVALID_PART_REPORTS.labels("early").inc()
            return ReportReceipt(recorded=False, next_report_ms=_milliseconds(wait))
        self._reported_at[rider] = now
        counts = counts_of(parts, config.policy, config.invalid_parts.names)
        try:
            await self._writes.get(counts)
        except BaseException:
            self._reported_at.pop(rider, None)
            raise
        INVALID_PART_REPORTS.labels("recorded").inc()
        return ReportReceipt(recorded=True, next_report_ms=_milliseconds(interval))

    async def _write(self, reports: Sequence[InvalidPartCounts]) -> Mapping[InvalidPartCounts, bool]:
        total, kept = merged(reports), self._config().invalid_parts.samples_per_part
        samples = _samples(total.shapes, kept, self._clock())
        try:
            # A deadline of its own: a batch serves many calls.
            with call_context.call_context(deadline=time.monotonic() + _WRITE_S):
                async with asyncio.timeout(_WRITE_S), self._database.transaction() as connection:
                    await self._store.add_counts(connection, total.incidents, self._clock())
                    if samples:
                        parts = {(one.incident.service, one.incident.part_name) for one in samples}
                        await self._store.add_samples(connection, samples)
                        await self._store.drop_surplus_samples(connection, parts, kept)
        except TimeoutError:
            raise DatabaseUnavailable from None
        for incident, count in total.incidents.items():
            INVALID_PARTS.labels(*incident).inc(count)
        return dict.fromkeys(reports, True)


def _samples(shapes: Counter[tuple[Incident, Shape]], kept: int, now: datetime) -> list[ShapeSample]:
    """Returns the samples to store, at times of their own: of each part the most frequent ones, as many as are kept."""
    number: Counter[tuple[str, str]] = Counter()
    samples: list[ShapeSample] = []
    for (incident, shape), count in shapes.most_common():
        part = (incident.service, incident.part_name)
        number[part] += 1
        if number[part] <= kept:
            at = now - len(samples) * _MICROSECOND
            samples.append(ShapeSample(incident, shape_id(shape), shape, count, at, at))
    return samples


def _milliseconds(time: timedelta) -> int:
    return -(time // timedelta(milliseconds=-1))
