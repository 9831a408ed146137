"""What an app shows of its rider's orders, and the results of polling for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ridehail_clients.models import PartProblem, PollingPolicy, UpdateStatus
from ridehail_kernel.json_values import ABSENT, JsonObject, MaybeValue

Part = TypeVar("Part")
"""What the app makes of a part, whatever that is."""


class PartInvalid(Exception):  # named like the errors of calls
    """The fetched content is not valid for the part.

    Args:
        reason: Why, in a few words that are always the same for the same reason: a label of a metric.
        problem: What is wrong with it, as order state counts it.
        content: The JSON that is not valid; only its shape is reported, none of its values. Leave it out if it is none.
    """

    def __init__(self, reason: str, *, problem: PartProblem = PartProblem.OTHER, content: MaybeValue = ABSENT) -> None:
        super().__init__(reason)
        self.reason = reason
        self.problem = problem
        self.content = content


@dataclass(frozen=True, slots=True)
class CardPart(Generic[Part]):
    """A part of an order, as it was last fetched.

    Attributes:
        content: What the fetcher returned.
        tag: The version of it that was known when it was fetched, or None if none was.
        fetched_at: When its fetch began, on the poller's clock.
    """

    content: Part
    tag: str | None
    fetched_at: float


@dataclass(frozen=True, slots=True)
class OrderCard(Generic[Part]):
    """An order as the app can show it.

    Attributes:
        orderid: The order, unique within its service.
        service: The service that keeps it.
        status: Its status, in the service's own words.
        update_status: `STALE` if all of this may be out of date.
        details: Further details, or None if there are none.
        other: The app's own members, as it sent them to launch.
        parts: The fetched parts, by name.
        outdated: Parts that are known to have changed, or to be missing, and could not be fetched yet.
        missing: Parts that the polling policy requires and that were never fetched.
    """

    orderid: str
    service: str
    status: str
    update_status: UpdateStatus
    details: JsonObject | None = None
    other: JsonObject = field(default_factory=dict)
    parts: Mapping[str, CardPart[Part]] = field(default_factory=dict)
    outdated: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every part that the polling policy requires is there; if not, the card cannot be shown."""
        return not self.missing


DueRule = Callable[[OrderCard[Part], PollingPolicy], bool]
"""Decides whether a part of an order is to be fetched now."""

OnInvalidPart = Callable[[str, str, str], None]
"""Called with service, part and reason of a fetched part that is not valid. Must not raise."""


@dataclass(frozen=True, slots=True)
class PolledPart:
    """A part that was due.

    Attributes:
        service: The service of the order.
        orderid: The order.
        part_name: The part.
        error: Why it was not fetched: `PartInvalid` or what else the fetcher, or the rule, raised; None if it was.
    """

    service: str
    orderid: str
    part_name: str
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class PollReport:
    """The result of a poll.

    Attributes:
        applied: Whether the response was used; not if a poll that began later got its response earlier.
        fetched: The parts that were fetched, in this order.
        failed: Those that could not be; they are fetched again after the next poll.
    """

    applied: bool
    fetched: tuple[PolledPart, ...] = ()
    failed: tuple[PolledPart, ...] = ()
