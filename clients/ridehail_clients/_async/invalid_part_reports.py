"""Reports of the parts that an app could not put together, made beside its polls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ridehail_clients.errors import ServiceError
from ridehail_clients.local_work import start_task
from ridehail_clients.models import InvalidPart, InvalidPartsReceipt
from ridehail_clients.orders.cards import PartInvalid
from ridehail_clients.orders.invalid_parts import InvalidPartQueue
from ridehail_kernel.availability import is_unavailable


class AsyncReport(Protocol):
    """Reports invalid parts: `AsyncPassengerOrderStateClient.report_invalid_parts`, or what has the same signature."""

    async def __call__(self, *, parts: Sequence[InvalidPart]) -> InvalidPartsReceipt:
        """Returns the response, or raises `ServiceError`."""


class AsyncInvalidPartReports:
    """Collects invalid parts, and reports them in batches. None of its methods waits, and none fails.

    Args:
        report: Reports a batch, or None if nothing is to be reported.
        clock: Returns the seconds since the epoch.
        random: Draws when the next report is due, from 0 to 1.
    """

    def __init__(self, report: AsyncReport | None, *, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self._report = report
        self._clock = clock
        self._random = random
        self._queue = InvalidPartQueue()

    def count(self, service: str, part_name: str, error: PartInvalid) -> None:
        """Counts a part that is not valid."""
        if self._report is not None:
            self._queue.add(service, part_name, error, now=self._clock(), drawn=self._random())

    def start_if_due(self) -> None:
        """Starts a report if one is due."""
        report, parts = self._report, self._queue.take(self._clock())
        if report is None or not parts:
            return

        async def send() -> None:
            receipt, may_succeed_later = None, True
            try:
                receipt = await report(parts=parts)
            except ServiceError as error:
                may_succeed_later = is_unavailable(error)
            except Exception:  # noqa: S110  # whatever becomes of a report, the app goes on
                pass
            finally:
                self._note_end(parts, receipt, may_succeed_later=may_succeed_later)

        try:
            start_task(send)
        except RuntimeError:  # no thread can be started now
            self._note_end(parts, None, may_succeed_later=True)

    def _note_end(
        self, parts: Sequence[InvalidPart], receipt: InvalidPartsReceipt | None, *, may_succeed_later: bool
    ) -> None:
        now, drawn = self._clock(), self._random()
        if receipt is not None:
            self._queue.reported(receipt, now=now, drawn=drawn)
        else:
            self._queue.failed(parts, may_succeed_later=may_succeed_later, now=now, drawn=drawn)
