"""What was asked for, and what of it was acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class OrderJournal:
    """One order.

    Attributes:
        created: When it was made.
        chose_toll_road: The road that it began on.
        is_saved: Whether its save was acknowledged.
        asked: The requested switches: timestamp -> road.
        acknowledged: Those that were acknowledged.
    """

    created: datetime
    chose_toll_road: bool
    is_saved: bool = False
    asked: dict[datetime, bool] = field(default_factory=dict)
    acknowledged: dict[datetime, bool] = field(default_factory=dict)

    @property
    def possible(self) -> dict[datetime, bool]:
        """The changes that may be recorded."""
        return {self.created: self.chose_toll_road, **self.asked}

    @property
    def promised(self) -> dict[datetime, bool]:
        """The changes that must be recorded."""
        return ({self.created: self.chose_toll_road} if self.is_saved else {}) | self.acknowledged


@dataclass
class Journal:
    """Everything of one run, and how often each thing was killed."""

    orders: dict[str, OrderJournal] = field(default_factory=dict)
    offers: set[str] = field(default_factory=set)
    kills: dict[str, int] = field(default_factory=dict)
    failures_seen: int = 0

    def count_kill(self, victim: str) -> None:
        self.kills[victim] = self.kills.get(victim, 0) + 1
