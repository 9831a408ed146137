"""Metrics of personal states while they move from one back end to the other."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import Counter, Gauge, Histogram

from ridehail_clients import ComparedKind

from .route import Route


class CallKind(StrEnum):
    """What a back end is called for."""

    READ = "read"
    WRITE = "write"
    MOCK_WRITE = "mock_write"


class CallOutcome(StrEnum):
    """How the call ended."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_SENT = "not_sent"


class ComparisonOutcome(StrEnum):
    """What happened to a pair of responses; user_state counts what comparing it showed."""

    COMPARED = "compared"
    FAILED = "failed"
    DROPPED = "dropped"


OLD, NEW = "protocol", "user-state"
"""The back ends, as callers know the services."""

_REQUESTS = Counter(
    "ridehail_personalstate_requests",
    "Riders' requests, by the route and by who answered.",
    ("kind", "route", "answered_by"),
)
_CALLS = Histogram(
    "ridehail_personalstate_call_duration_seconds",
    "Time that a back end took for a call.",
    ("back_end", "kind", "outcome"),
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
_COMPARISONS = Counter(
    "ridehail_personalstate_comparisons", "Pairs of answers, by what became of them.", ("kind", "outcome")
)
COMPARISONS_WAITING = Gauge(
    "ridehail_personalstate_comparisons_waiting", "Pairs of answers that wait.", multiprocess_mode="livesum"
)


def count_request(kind: ComparedKind, route: Route, answered_by: str) -> None:
    """Counts a rider's request; `answered_by` is `old`, `new` or `nobody`."""
    _REQUESTS.labels(kind, route, answered_by).inc()


def count_call(back_end: str, kind: CallKind, outcome: CallOutcome, seconds: float) -> None:
    _CALLS.labels(back_end, kind, outcome).observe(seconds)


def count_comparison(kind: ComparedKind, outcome: ComparisonOutcome) -> None:
    _COMPARISONS.labels(kind, outcome).inc()


def show_at_zero() -> None:
    """Shows every figure at 0: of one that appears with its first event, nobody sees that it grew."""
    for kind in ComparedKind:
        for route, answered_by in (
            (Route.OLD, "old"),
            (Route.OLD, "nobody"),
            (Route.COMPARE, "old"),
            (Route.COMPARE, "nobody"),
            (Route.NEW, "new"),
            (Route.NEW, "old"),
            (Route.NEW, "nobody"),
        ):
            _REQUESTS.labels(kind, route, answered_by)
        for outcome in ComparisonOutcome:
            _COMPARISONS.labels(kind, outcome)
    for back_end in (OLD, NEW):
        for call in CallKind:
            for became in CallOutcome:
                _CALLS.labels(back_end, call, became)
    COMPARISONS_WAITING.set(0)
