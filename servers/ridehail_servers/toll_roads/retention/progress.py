"""What a retention job has done so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What is done to which rows."""

    PURGE_OFFERS = "purge_offers"
    PURGE_SAVE_REQUESTS = "purge_save_requests"
    ARCHIVE_ORDERS = "archive_orders"
    ARCHIVE_LOG = "archive_log"
    PURGE_LOG = "purge_log"
    PURGE_ORDERS = "purge_orders"


class Outcome(StrEnum):
    """What became of rows."""

    DELETED = "deleted"
    ARCHIVED = "archived"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Progress:
    """Something that a job has just done.

    Attributes:
        step: What it is at.
        outcome: What became of ...
        rows: ... so many rows.
    """

    step: Step
    outcome: Outcome
    rows: int


Report = Callable[[Progress], None]
"""Told of whatever a job does, as soon as it is done for good."""
