"""The report on comparisons: how often the two back ends' responses differ, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist
from typing import Final

from .json_comparison import Kind, Verdict
from .redaction import Mismatch

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % confidence interval."""

    share: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of pairs of responses to one kind of request, by verdict.

    Pairs of different revisions (`behind`) are a matter of the copying, not of the back ends.
    """

    equal: int
    different: int
    behind: int

    def rate(self) -> Rate | None:
        """Returns the share of different pairs among the equal and the different ones, or None without any."""
        return wilson(self.different, self.equal + self.different)


@dataclass(frozen=True, slots=True)
class MismatchPath:
    """A JSON pointer where responses differ, with `*` for every index, or `(status)`; and how often."""

    kind: Kind
    path: str
    mismatches: int


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """Results of the comparisons since a time; the whole minute of it counts.

    Attributes:
        totals: By the kind of request.
        kept: How many mismatches of that time are stored; places and samples are theirs.
        places: The most frequent paths, the most frequent first.
        samples: The latest mismatches, with their first differences.
    """

    since: datetime
    totals: Mapping[Kind, Totals]
    kept: int
    places: Sequence[MismatchPath]
    samples: Sequence[Mismatch]


def totals_of(counts: Mapping[tuple[Kind, Verdict], int]) -> dict[Kind, Totals]:
    """Returns the totals by the kind of request."""
    return {
        kind: Totals(
            equal=counts.get((kind, Verdict.EQUAL), 0),
            different=counts.get((kind, Verdict.DIFFERENT), 0),
            behind=counts.get((kind, Verdict.BEHIND), 0),
        )
        for kind in Kind
    }


def wilson(successes: int, trials: int) -> Rate | None:
    """Returns a share and its bounds, or None without trials.

    Wilson's score interval also fits shares near 0 and few trials.

    Wilson, E. B.: Probable inference, the law of succession, and statistical inference. JASA 22 (1927).
    """
    if not trials:
        return None
    z = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    reach = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # Rounding must not push a bound past the share or out of what a share can be.
    return Rate(share, max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach)))
