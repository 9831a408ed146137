"""A user's answers to agreements on their way to the service: what becomes of them, and when they are sent again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ridehail_clients.errors import EulaNotFound, EulaNotRejectable, InvalidRequest, ServiceError
from ridehail_clients.models import Eula, EulaDecision, EulaState
from ridehail_clients.retry import RetryPolicy
from ridehail_kernel.text_rules import MAX_LENGTH

LARGEST_BATCH: Final = 100
"""Answers that one call may save."""

_LONGEST_REQUESTED_WAIT_S: Final = 3600.0
# Beyond this the backoff has long reached its limit, and the power would only grow out of a float.
_MOST_DOUBLINGS: Final = 60
_ELEMENT: Final = re.compile(r"eulas\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class EulaList:
    """Agreements to show.

    Attributes:
        eulas: The agreements.
        available: False: the service is not available, and these are what is known without it.
    """

    eulas: tuple[Eula, ...]
    available: bool


@dataclass(frozen=True, slots=True)
class RefusedDecision:
    """An answer that the service will never take.

    Attributes:
        decision: The answer.
        error: Why: `EulaNotFound`, `EulaNotRejectable` or `InvalidRequest`.
    """

    decision: EulaDecision
    error: ServiceError


@dataclass(frozen=True, slots=True)
class SaveReport:
    """What became of a user's answers.

    Attributes:
        saved: The answers that the service has taken.
        refused: Those that it will never take; they are not kept any longer.
        unsaved: All of the account that are still to be saved.
        refresh: What the app should ask again, because the saved answers change it: `routestats`, or nothing.
        signed: All that the user has signed, as listed after saving; None: not listed this time.
        failure: Why something is left to do, as the last call told; None when no call failed.
    """

    saved: tuple[EulaDecision, ...]
    refused: tuple[RefusedDecision, ...]
    unsaved: tuple[EulaDecision, ...]
    refresh: tuple[str, ...]
    signed: tuple[Eula, ...] | None
    failure: ServiceError | None


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that is not saved yet.

    Attributes:
        number: Its place in the order in which answers were given; no two answers share one.
        decision: The answer.
    """

    number: int
    decision: EulaDecision


@dataclass(frozen=True, slots=True)
class Pause:
    """The time in which nothing is sent, because the last attempt failed.

    Attributes:
        failures: Attempts that failed in a row.
        since: When the last of them did, in seconds since the epoch.
        length: How long nothing is sent, in seconds.
    """

    failures: int = 0
    since: float = 0.0
    length: float = 0.0

    def left(self, now: float) -> float:
        """Returns how many seconds are left.

        Args:
            now: Seconds since the epoch. A clock that was set back costs the whole pause again, never more.
        """
        return min(max(self.since + self.length - now, 0.0), self.length)


def checked(decisions: Iterable[EulaDecision]) -> list[EulaDecision]:
    """Returns the answers as a list.

    Args:
        decisions: The answers.

    Raises:
        ValueError: One is no answer: its id has not 1 to 128 characters, or its status is not one of the two.
    """
    answers = list(decisions)
    for one in answers:
        if not (isinstance(one.eula_id, str) and 0 < len(one.eula_id) <= MAX_LENGTH):
            raise ValueError("the id of an agreement must have 1 to 128 characters")
        if one.status not in {EulaState.ACCEPTED, EulaState.REJECTED}:
            raise ValueError(f"an answer must be accepted or rejected, not {one.status!r}")
    return answers


def is_refusal(error: ServiceError) -> bool:
    """Tells whether the service refused a batch for answers that it will never take.

    Args:
        error: What the call raised.
    """
    return isinstance(error, EulaNotFound | EulaNotRejectable | InvalidRequest)


def refused_among(batch: Sequence[KeptAnswer], error: ServiceError) -> list[KeptAnswer]:
    """Returns the answers for which a batch was refused; none when the error names none of several.

    Args:
        batch: As it was sent.
        error: A refusal.
    """
    if len(batch) == 1:
        return list(batch)
    if isinstance(error, InvalidRequest):
        elements = (_ELEMENT.match(violation.field) for violation in error.violations)
        numbers = {int(element[1]) for element in elements if element}
        return [answer for number, answer in enumerate(batch) if number in numbers]
    return [answer for answer in batch if answer.decision.eula_id == error.metadata.get("eula_id")]


def pause_after(pause: Pause, error: ServiceError, *, policy: RetryPolicy, now: float, drawn: float) -> Pause:
    """Returns the pause after one more failed attempt: it doubles each time.

    Args:
        pause: The one before.
        error: How the attempt failed. A wait that the service asks for is kept, up to an hour.
        policy: The first and the longest pause, and whether they are drawn.
        now: Seconds since the epoch.
        drawn: By which part of its length a pause that is drawn gets its turn, from 0 to 1.
    """
    longest = min(policy.initial_backoff_s * 2 ** min(pause.failures, _MOST_DOUBLINGS), policy.max_backoff_s)
    own = longest * drawn if policy.jitter else longest
    requested = min(error.retry_after or 0.0, _LONGEST_REQUESTED_WAIT_S)
    return Pause(failures=pause.failures + 1, since=now, length=max(own, requested))


class ReportDraft:
    """A report that is being written, call by call."""

    def __init__(self) -> None:
        self.saved: list[EulaDecision] = []
        self.refused: list[RefusedDecision] = []
        self.refresh: dict[str, None] = {}
        self.signed: tuple[Eula, ...] | None = None
        self.failure: ServiceError | None = None

    def add_saved(self, answers: Iterable[KeptAnswer], refresh: Iterable[str]) -> None:
        """Notes that answers were saved.

        Args:
            answers: The answers.
            refresh: What the app should ask again for it.
        """
        self.saved.extend(answer.decision for answer in answers)
        self.refresh.update(dict.fromkeys(refresh))

    def add_refused(self, answers: Iterable[KeptAnswer], error: ServiceError) -> None:
        """Notes that answers were refused.

        Args:
            answers: The answers.
            error: Why.
        """
        self.refused.extend(RefusedDecision(answer.decision, error) for answer in answers)

    def finished(self, unsaved: Iterable[KeptAnswer]) -> SaveReport:
        """Returns the report.

        Args:
            unsaved: All answers of the account that are still to be saved.
        """
        return SaveReport(
            saved=tuple(self.saved),
            refused=tuple(self.refused),
            unsaved=tuple(answer.decision for answer in unsaved),
            refresh=tuple(self.refresh),
            signed=self.signed,
            failure=self.failure,
        )


Random = Callable[[], float]
"""Returns a number from 0 to 1, drawn evenly."""
