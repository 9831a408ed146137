"""Metrics of comparisons."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

COMPARISONS = Counter(
    "ridehail_user_state_comparisons",
    "Pairs of answers that were compared, by the kind of request and by what came out: equal, different, or behind"
    " (of different revisions of the state).",
    ("kind", "verdict"),
)
MISMATCHES = Counter(
    "ridehail_user_state_mismatches",
    "Pairs of answers that are different, by the kind of request and by each place where they differ (`(status)`: the"
    " HTTP status). Names beyond the first hundred places are counted as `other`.",
    ("kind", "path"),
)

STATUS: Final = "(status)"
OTHER: Final = "other"
_MAX_PATHS: Final = 100
_MAX_PATH_LENGTH: Final = 200


class PathLabels:
    """Limits the number of paths that metrics distinguish, whatever the responses hold."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, pattern: str) -> str:
        """Returns the label of a path pattern."""
        if len(self._known) < _MAX_PATHS and len(pattern) <= _MAX_PATH_LENGTH:
            self._known.add(pattern)
        return pattern if pattern in self._known else OTHER
