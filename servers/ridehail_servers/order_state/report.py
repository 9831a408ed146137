"""Decides what a provider's report of an order changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ridehail_servers.chassis.errors import OrderOwnerMismatch

from .orders import OrderKey


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What a provider reports of an order. Reports come late, twice and in any order.

    Attributes:
        sequence: The number of the order's change that is reported; at least 1.
        parts: Part -> version, of those that have changed.
        finished: Whether the order has ended, or None if the report does not say.
    """

    key: OrderKey
    yandex_uid: str
    sequence: int
    parts: Mapping[str, str]
    finished: bool | None


@dataclass(frozen=True, slots=True)
class RecordState:
    """What is stored of an order but for its parts; see `RecordedOrder`."""

    yandex_uid: str
    reported: bool
    finished: bool
    finish_sequence: int


def state_after(report: OrderReport, before: RecordState) -> RecordState:
    """Returns what is stored of an order after a report.

    The first report decides whose order it is: a list of orders may have come from anybody who asked for it.

    Raises:
        OrderOwnerMismatch: It was reported as another rider's.
    """
    if before.reported and before.yandex_uid != report.yandex_uid:
        raise OrderOwnerMismatch(report.key.orderid)
    finished, finish_sequence = before.finished, before.finish_sequence
    if report.finished is not None and report.sequence > finish_sequence:
        finished, finish_sequence = report.finished, report.sequence
    return RecordState(report.yandex_uid, reported=True, finished=finished, finish_sequence=finish_sequence)
