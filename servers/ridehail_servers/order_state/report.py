"""What a service's report of an order changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import OrderOwnerMismatch
from .orders import OrderKey


@dataclass(frozen=True, slots=True)
class Report:
    """What a service reports of an order. Reports come late, twice and in any order.

    Attributes:
        key: The order.
        yandex_uid: The rider whose order it is.
        sequence: The number of the order's change that is reported; at least 1.
        parts: Part -> version, of those that have changed.
        finished: Whether the order has ended; None: not said.
    """

    key: OrderKey
    yandex_uid: str
    sequence: int
    parts: Mapping[str, str]
    finished: bool | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an order stands, but for its parts.

    Attributes:
        yandex_uid: The rider whose order it is.
        reported: Whether its service reported it; else its service only listed it.
        finished: Whether it has ended.
        finish_sequence: The number of the change that told so, or that it goes on; 0: none did.
    """

    yandex_uid: str
    reported: bool
    finished: bool
    finish_sequence: int


def standing_after(report: Report, before: Standing) -> Standing:
    """Returns where an order stands after a report.

    Whose order it is tells the first report: a list of orders may have come from anybody who asked.

    Args:
        report: The report.
        before: Where the order stood.

    Raises:
        OrderOwnerMismatch: It was reported as another rider's.
    """
    if before.reported and before.yandex_uid != report.yandex_uid:
        raise OrderOwnerMismatch(report.key.orderid)
    finished, finish_sequence = before.finished, before.finish_sequence
    if report.finished is not None and report.sequence > finish_sequence:
        finished, finish_sequence = report.finished, report.sequence
    return Standing(report.yandex_uid, reported=True, finished=finished, finish_sequence=finish_sequence)
