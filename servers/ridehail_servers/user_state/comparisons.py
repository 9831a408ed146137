"""Compares answers and keeps a record of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .comparison_store import ComparisonStore, Mismatch
from .config import UserStateConfig
from .errors import JsonMismatch
from .json_comparison import Answer, Comparison, Kind, Verdict, compare
from .metrics import COMPARISONS, MISMATCHES, STATUS, PathLabels
from .redaction import pattern, pointer, redacted

# All of a status has to fit into 8 KiB.
_MOST_PATH_BYTES: Final = 4_000

Answers = Callable[[], tuple[Answer, Answer]]
"""Returns the old answer and the new one; reading them may take long."""


class Comparisons:
    """Compares pairs of answers; counts them; stores where those that differ do."""

    def __init__(
        self,
        database: Database,
        store: ComparisonStore,
        *,
        config: Callable[[], UserStateConfig],
        clock: Clock,
        hash_key: bytes,
    ) -> None:
        """Takes what it needs.

        Args:
            database: Of user_state.
            store: Its SQL.
            config: Returns what is configured now.
            clock: Tells the time.
            hash_key: Random; see `redaction`.
        """
        self._database = database
        self._store = store
        self._config = config
        self._clock = clock
        self._hash_key = hash_key
        self._labels = PathLabels()

    async def compare(self, request_id: str, kind: Kind, answers: Answers) -> None:
        """Compares two answers to one request.

        Args:
            request_id: The request, as logs name it.
            kind: What it was.
            answers: What both back ends answered.

        Raises:
            JsonMismatch: They differ.
        """
        # Large answers take a while, and other calls should not wait for it.
        comparison, mismatch = await asyncio.to_thread(self._compared, request_id, kind, answers)
        self._count(kind, comparison)
        await self._record(kind, comparison.verdict, mismatch)
        if comparison.verdict is not Verdict.EQUAL:
            raise _error(comparison)

    def _compared(self, request_id: str, kind: Kind, answers: Answers) -> tuple[Comparison, Mismatch | None]:
        old, new = answers()
        comparison = compare(kind, old, new)
        if comparison.verdict is not Verdict.DIFFERENT:
            return comparison, None
        places = tuple(redacted(one, self._hash_key) for one in comparison.differences)
        return comparison, Mismatch(self._clock(), request_id, kind, old.status, new.status, places)

    def _count(self, kind: Kind, comparison: Comparison) -> None:
        COMPARISONS.labels(kind, comparison.verdict).inc()
        if comparison.verdict is not Verdict.DIFFERENT:
            return
        places = {pattern(one.path) for one in comparison.differences}
        for place in (*sorted(places), *([STATUS] if comparison.statuses_differ else [])):
            MISMATCHES.labels(kind, self._labels.label(place)).inc()

    async def _record(self, kind: Kind, verdict: Verdict, mismatch: Mismatch | None) -> None:
        config, now = self._config(), self._clock()
        async with self._database.connection() as connection:
            async with connection.transaction():
                is_first = await self._store.count(connection, now, kind, verdict)
                if mismatch is not None:
                    await self._store.insert_mismatch(connection, mismatch)
            # Only now does everybody see the new rows: so whoever comes last drops all that are too many.
            if mismatch is not None:
                await self._store.drop_old_mismatches(connection, config.mismatches_kept)
            if is_first:
                kept = timedelta(days=config.comparisons_kept_days)
                await self._store.drop_old_counts(connection, now - kept)


def _error(comparison: Comparison) -> JsonMismatch:
    paths: list[str] = []
    room = _MOST_PATH_BYTES
    for found in comparison.differences:
        path = pointer(found.path)
        room -= len(json.dumps(path)) + 1
        if room < 0:
            break
        paths.append(path)
    is_cut = comparison.truncated or len(paths) < len(comparison.differences)
    return JsonMismatch(paths, statuses_differ=comparison.statuses_differ, truncated=is_cut)
