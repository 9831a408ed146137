"""Whether a run can tell that a goal is reached."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .comparison import Goal, Round
from .cpu import is_noisy

# So much of the rounds has to agree.
_AGREE = 0.75


@dataclass(frozen=True)
class Ratio:
    """A goal's ratio over the rounds.

    Attributes:
        verdict: "reached", "missed", or why the run cannot tell.
    """

    goal: Goal
    median: float
    lowest: float
    highest: float
    verdict: str


def judge(goal: Goal, rounds: Sequence[Round]) -> Ratio:
    """Returns the ratio of each round's figures; what differs between rounds differs for all contenders."""
    ratios = [goal.ratio(one) for one in rounds]
    reached = statistics.mean(_is_reached(goal, ratio) for ratio in ratios)
    if is_noisy(other_cores(rounds)):
        verdict = "too noisy to tell"
    elif 1 - _AGREE < reached < _AGREE:
        verdict = "rounds disagree"
    else:
        verdict = "reached" if reached >= _AGREE else "missed"
    return Ratio(goal, statistics.median(ratios), min(ratios), max(ratios), verdict)


def _is_reached(goal: Goal, ratio: float) -> bool:
    return ratio >= goal.target if goal.at_least else ratio <= goal.target


def other_cores(rounds: Sequence[Round]) -> float:
    """Returns how many cores others used, as the median of all turns."""
    return statistics.median(figures.other_cores for one in rounds for figures in one.values())
