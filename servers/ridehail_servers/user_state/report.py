"""What comparisons have shown: how often two back ends' answers differ, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist
from typing import Final

from .json_comparison import Kind, Verdict

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Rate:
    """A share, and between what bounds it lies with a confidence of 95 %."""

    share: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Totals:
    """How the comparisons of one kind of request came out.

    Attributes:
        equal: So many pairs of answers were equal.
        different: So many were different.
        behind: So many were of different revisions of the state, and so tell of the copying and not of the back ends.
    """

    equal: int
    different: int
    behind: int

    def rate(self) -> Rate | None:
        """Returns the share of different pairs among those that tell of the back ends; None without any."""
        return wilson(self.different, self.equal + self.different)


@dataclass(frozen=True, slots=True)
class Place:
    """A place where answers differ.

    Attributes:
        kind: Of the requests.
        path: A JSON pointer, with `*` for every index; `(status)` for the HTTP status.
        mismatches: In how many mismatches.
    """

    kind: Kind
    path: str
    mismatches: int


@dataclass(frozen=True, slots=True)
class SampleDifference:
    """Where the bodies of one mismatch differ, and what is there on both sides, as JSON names types."""

    path: str
    old_type: str
    new_type: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One mismatch.

    Attributes:
        request_id: The request, as logs name it.
        at: When its answers were compared.
        kind: What it was.
        old_status: HTTP status of the old back end.
        new_status: HTTP status of the new back end.
        differences: The first ones of the bodies.
    """

    request_id: str
    at: datetime
    kind: Kind
    old_status: int
    new_status: int
    differences: Sequence[SampleDifference]


@dataclass(frozen=True, slots=True)
class Report:
    """What comparisons have shown since some moment.

    Attributes:
        since: The moment; the whole minute that it lies in counts.
        totals: By the kind of request.
        kept: How many mismatches are kept of that time; places and samples are theirs.
        places: Where most of them differ, the most frequent first.
        samples: The latest of them.
    """

    since: datetime
    totals: Mapping[Kind, Totals]
    kept: int
    places: Sequence[Place]
    samples: Sequence[Sample]


def totals_of(counts: Mapping[tuple[Kind, Verdict], int]) -> dict[Kind, Totals]:
    """Returns the totals by the kind of request.

    Args:
        counts: Of comparisons, by kind and verdict.
    """
    return {
        kind: Totals(
            equal=counts.get((kind, Verdict.EQUAL), 0),
            different=counts.get((kind, Verdict.DIFFERENT), 0),
            behind=counts.get((kind, Verdict.BEHIND), 0),
        )
        for kind in Kind
    }


def wilson(successes: int, trials: int) -> Rate | None:
    """Returns a share and its bounds by Wilson's score interval, which also fits shares near 0 and few trials.

    Wilson, E. B.: Probable inference, the law of succession, and statistical inference. JASA 22 (1927).

    Args:
        successes: 0 to `trials`.
        trials: So many were made; without any there is no share.
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
