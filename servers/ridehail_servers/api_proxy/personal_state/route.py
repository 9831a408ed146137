"""Which back ends of personal states a request goes to."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from ridehail_clients import ComparedKind


class Mode(StrEnum):
    """What becomes of riders in the experiments."""

    COMPARE = "compare"
    NEW = "new"


class Route(StrEnum):
    """Which back ends are called."""

    OLD = "old"
    """The old back end alone."""
    COMPARE = "compare"
    """The new back end, then the old one, whose response counts; then the responses are compared."""
    NEW = "new"
    """The new back end, and the old one where it stands in for it."""


def choose_route(kind: ComparedKind, mode: Mode, *, reads: Callable[[], bool], writes: Callable[[], bool]) -> Route:
    """Returns which back ends are called.

    Args:
        kind: Of the request.
        mode: As configured.
        reads: Returns whether the rider takes part in the experiment with reads.
        writes: Returns whether the rider takes part in the experiment with writes.
    """
    if not (reads() if kind is ComparedKind.READ else writes()):
        return Route.OLD
    if mode is Mode.COMPARE:
        return Route.COMPARE
    # What a rider writes to the new back end would be missing from what the rider reads from the old one.
    if kind is ComparedKind.WRITE and not reads():
        return Route.COMPARE
    return Route.NEW
