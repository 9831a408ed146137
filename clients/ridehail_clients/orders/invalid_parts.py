"""What an app has to report of parts that it could not put together, and when it reports it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ridehail_clients.models import InvalidPart, InvalidPartsReceipt, PartProblem
from ridehail_clients.orders.cards import PartInvalid
from ridehail_clients.orders.part_shape import shape_of

# What the contract takes.
_MAX_PARTS: Final = 20
_MAX_COUNT: Final = 1_000
# The first report comes within this many seconds of the first invalid part, and after a report that failed the next one
# within twice as many, and so on up to an hour: a broken part is broken for all apps at once.
_FIRST_S: Final = 60.0
_MAX_PAUSE_S: Final = 3_600.0
_MAX_DOUBLINGS: Final = 6

Key = tuple[str, str, PartProblem]


class InvalidPartQueue:
    """Collects invalid parts by service, part and problem: at most 20 of these, of each at most 1000 and one shape.

    For any number of threads. One report is under way at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[Key, InvalidPart] = {}
        self._due_at: float | None = None
        self._failures = 0
        self._is_under_way = False
        self._is_refused = False

    def add(self, service: str, part_name: str, error: PartInvalid, *, now: float, drawn: float) -> None:
        """Counts a part that is not valid.

        Args:
            service: The service of the order.
            part_name: The part.
            error: What the fetcher raised.
            now: The time.
            drawn: From 0 to 1: decides when the first report is due.
        """
        part = InvalidPart(service, part_name, error.problem, 1, shape_of(error.content))
        with self._lock:
            if self._is_refused:
                return
            if self._due_at is None:
                self._due_at = now + _FIRST_S * drawn
            self._merge(part)

    def take(self, now: float) -> Sequence[InvalidPart]:
        """Takes out what is due to be reported; unless that is nothing, `reported` or `failed` is to be called then."""
        with self._lock:
            if not self._parts or self._is_under_way or self._due_at is None or now < self._due_at:
                return ()
            taken = tuple(self._parts.values())
            self._parts.clear()
            self._is_under_way = True
            return taken

    def reported(self, receipt: InvalidPartsReceipt, *, now: float, drawn: float) -> None:
        """Notes that a report has arrived; the next is due after the server's time and up to half as long again."""
        with self._lock:
            self._is_under_way, self._failures = False, 0
            self._due_at = now + min(receipt.next_report_ms / 1000, _MAX_PAUSE_S) * (1 + drawn / 2)

    def failed(self, parts: Sequence[InvalidPart], *, may_succeed_later: bool, now: float, drawn: float) -> None:
        """Puts back what could not be reported. Where no repeat will help, nothing more is collected or reported."""
        with self._lock:
            self._is_under_way = False
            if not may_succeed_later:
                self._is_refused = True
                self._parts.clear()
                return
            self._failures += 1
            self._due_at = now + min(_FIRST_S * 2.0 ** min(self._failures, _MAX_DOUBLINGS), _MAX_PAUSE_S) * drawn
            for part in parts:
                self._merge(part)

    def _merge(self, part: InvalidPart) -> None:
        key = (part.service, part.part_name, part.problem)
        known = self._parts.get(key)
        if known is not None:
            count = min(known.count + part.count, _MAX_COUNT)
            self._parts[key] = replace(known, count=count, shape=known.shape or part.shape)
        elif len(self._parts) < _MAX_PARTS:
            self._parts[key] = part
