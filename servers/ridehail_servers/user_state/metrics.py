"""What comparisons export."""

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
_MOST_PATHS: Final = 100
_LONGEST_PATH: Final = 200


class PathLabels:
    """Keeps the number of places that metrics tell apart within bounds, whatever the answers hold."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, pattern: str) -> str:
        """Returns the label of a place.

        Args:
            pattern: Of the place.
        """
        if len(self._known) < _MOST_PATHS and len(pattern) <= _LONGEST_PATH:
            self._known.add(pattern)
        return pattern if pattern in self._known else OTHER
