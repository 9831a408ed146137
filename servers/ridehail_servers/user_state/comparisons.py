"""Compares responses and records the results."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .comparison_store import ComparisonStore
from .config import UserStateConfig
from .errors import JsonMismatch
from .json_comparison import ComparisonResult, Kind, Response, Verdict, compare
from .metrics import COMPARISONS, MISMATCHES, STATUS, PathLabels
from .redaction import Mismatch, pattern, pointer, redacted

# All of a status has to fit into 8 KiB.
_MAX_PATH_BYTES: Final = 4_000

ReadResponses = Callable[[], tuple[Response, Response]]
"""Returns the old response and the new one, which may take long."""


class Comparisons:
    """Compares pairs of responses; counts them; stores where they differ."""

    def __init__(
        self,
        database: Database,
        store: ComparisonStore,
        *,
        config: Callable[[], UserStateConfig],
        clock: Clock,
        hash_key: bytes,
    ) -> None:
        self._database = database
        self._store = store
        self._config = config
        self._clock = clock
        self._hash_key = hash_key
        self._labels = PathLabels()

    async def compare(self, request_id: str, kind: Kind, read_responses: ReadResponses) -> None:
        """Compares the old and the new response to one request.

        `read_responses` runs in a thread.

        Raises:
            JsonMismatch: They differ.
        """
        # Large responses take a while, and must not block the event loop.
        comparison, mismatch = await asyncio.to_thread(self._compare_and_redact, request_id, kind, read_responses)
        self._count(kind, comparison)
        await self._record(kind, comparison.verdict, mismatch)
        if comparison.verdict is not Verdict.EQUAL:
            raise _error(comparison)

    def _compare_and_redact(
        self, request_id: str, kind: Kind, read_responses: ReadResponses
    ) -> tuple[ComparisonResult, Mismatch | None]:
        old, new = read_responses()
        comparison = compare(kind, old, new)
        if comparison.verdict is not Verdict.DIFFERENT:
            return comparison, None
        differences = tuple(redacted(one, self._hash_key) for one in comparison.differences)
        return comparison, Mismatch(request_id, self._clock(), kind, old.status, new.status, differences)

    def _count(self, kind: Kind, comparison: ComparisonResult) -> None:
        COMPARISONS.labels(kind, comparison.verdict).inc()
        if comparison.verdict is not Verdict.DIFFERENT:
            return
        patterns = {pattern(one.path) for one in comparison.differences}
        for path in (*sorted(patterns), *([STATUS] if comparison.statuses_differ else [])):
            MISMATCHES.labels(kind, self._labels.label(path)).inc()

    async def _record(self, kind: Kind, verdict: Verdict, mismatch: Mismatch | None) -> None:
        config, now = self._config(), self._clock()
        async with self._database.connection() as connection:
            async with connection.transaction():
                is_first = await self._store.count(connection, now, kind, verdict)
                if mismatch is not None:
                    await self._store.insert_mismatch(connection, mismatch)
            # After the commit, so that the last of several calls at once sees and drops all surplus rows.
            if mismatch is not None:
                await self._store.drop_old_mismatches(connection, config.mismatches_kept)
            if is_first:
                kept = timedelta(days=config.comparisons_kept_days)
                await self._store.drop_old_counts(connection, now - kept)


def _error(comparison: ComparisonResult) -> JsonMismatch:
    paths: list[str] = []
    room = _MAX_PATH_BYTES
    for found in comparison.differences:
        path = pointer(found.path)
        room -= len(json.dumps(path)) + 1
        if room < 0:
            break
        paths.append(path)
    is_cut = comparison.truncated or len(paths) < len(comparison.differences)
    return JsonMismatch(paths, statuses_differ=comparison.statuses_differ, truncated=is_cut)
