"""Decides which caller may report orders of which service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from prometheus_client import Counter

from .errors import ServiceNotOwned
from .orders import PROVIDERS


class ForeignReports(StrEnum):
    """What becomes of a report of a service that is not the caller's own."""

    REFUSE = "refuse"
    COUNT = "count"


FOREIGN_REPORTS = Counter(
    "ridehail_order_state_foreign_reports",
    "Reports of orders of a service that is not the caller's own, by what became of them (refuse, count: recorded all"
    " the same), the caller and the service (other: none of the registry).",
    ("outcome", "caller", "provider"),
)


def check_reporter(
    caller: str, service: str, reporters: Mapping[str, Collection[str]], foreign: ForeignReports
) -> None:
    """Checks that a caller may report orders of a service: the one that it keeps, or one that it was given.

    Args:
        caller: As its ticket names it.
        service: As in `taxi`.
        reporters: Caller -> further services that it may report.
        foreign: What becomes of a report that it may not make.

    Raises:
        ServiceNotOwned: It may not.
    """
    if PROVIDERS.get(service) == caller or service in reporters.get(caller, ()):
        return
    FOREIGN_REPORTS.labels(foreign, caller, service if service in PROVIDERS else "other").inc()
    if foreign is ForeignReports.REFUSE:
        raise ServiceNotOwned(caller, service)
