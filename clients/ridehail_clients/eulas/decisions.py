"""A user's decisions about agreements on their way to the service: results, and pauses between attempts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ridehail_clients.calls.retry import RetryPolicy
from ridehail_clients.errors import EulaNotFound, EulaNotRejectable, InvalidRequest, ServiceError
from ridehail_clients.models import Eula, EulaDecision, EulaState
from ridehail_kernel.text_rules import MAX_LENGTH

MAX_BATCH: Final = 100
"""Decisions that one call may save."""

_MAX_REQUESTED_WAIT_S: Final = 3600.0
# Beyond this the backoff has long reached its limit, and the power would only grow out of a float.
_MAX_DOUBLINGS: Final = 60
_ELEMENT: Final = re.compile(r"eulas\[(\d+)\]")

Random = Callable[[], float]
"""Draws a number evenly from 0 to 1."""


@dataclass(frozen=True, slots=True)
class EulaList:
    """Agreements to show.

    Attributes:
        eulas: The agreements.
        available: Whether the service is available; if not, these are what is known without it.
    """

    eulas: tuple[Eula, ...]
    available: bool


@dataclass(frozen=True, slots=True)
class RefusedDecision:
    """A decision that the service will never save.

    Attributes:
        decision: The decision.
        error: Why: `EulaNotFound`, `EulaNotRejectable` or `InvalidRequest`.
    """

    decision: EulaDecision
    error: ServiceError


@dataclass(frozen=True, slots=True)
class SaveReport:
    """The result of saving a user's decisions.

    Attributes:
        saved: Those that the service has saved.
        refused: Those that it will never save; they are dropped.
        unsaved: All of the account that are still to be saved.
        refresh: What the app should request again, because the saved decisions change it: `routestats`, or nothing.
        signed: All that the user has signed, as listed after saving, or None if it was not listed this time.
        failure: Why something is left to do: the error of the last call, or None if no call failed.
    """

    saved: tuple[EulaDecision, ...]
    refused: tuple[RefusedDecision, ...]
    unsaved: tuple[EulaDecision, ...]
    refresh: tuple[str, ...]
    signed: tuple[Eula, ...] | None
    failure: ServiceError | None


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """A decision that is not saved yet; `number` is its unique place in the order in which decisions were made."""

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
        """Returns the seconds left. A clock that was set back costs the whole pause again, never more.

        Args:
            now: Seconds since the epoch.
        """
        return min(max(self.since + self.length - now, 0.0), self.length)


def checked(decisions: Iterable[EulaDecision]) -> list[EulaDecision]:
    """Returns the decisions as a list.

    Raises:
        ValueError: An id has not 1 to 128 characters, or a status is neither accepted nor rejected.
    """
    result = list(decisions)
    for one in result:
        if not (isinstance(one.eula_id, str) and 0 < len(one.eula_id) <= MAX_LENGTH):
            raise ValueError("the id of an agreement must have 1 to 128 characters")
        if one.status not in {EulaState.ACCEPTED, EulaState.REJECTED}:
            raise ValueError(f"a decision must be accepted or rejected, not {one.status!r}")
    return result


def is_refusal(error: ServiceError) -> bool:
    """Returns whether the service refused a batch for decisions that it will never save."""
    return isinstance(error, EulaNotFound | EulaNotRejectable | InvalidRequest)


def refused_among(batch: Sequence[PendingDecision], error: ServiceError) -> list[PendingDecision]:
    """Returns the decisions for which a batch was refused, or none if the error names none of several."""
    if len(batch) == 1:
        return list(batch)
    if isinstance(error, InvalidRequest):
        elements = (_ELEMENT.match(violation.field) for violation in error.violations)
        numbers = {int(element[1]) for element in elements if element}
        return [one for number, one in enumerate(batch) if number in numbers]
    return [one for one in batch if one.decision.eula_id == error.metadata.get("eula_id")]


def pause_after(pause: Pause, error: ServiceError, *, policy: RetryPolicy, now: float, drawn: float) -> Pause:
    """Returns the pause after one more failed attempt: it doubles each time.

    Args:
        pause: The previous one.
        error: Of the attempt. A wait that the service requests is kept, up to an hour.
        policy: The first and the longest pause, and whether pauses have jitter.
        now: Seconds since the epoch.
        drawn: The share of its length that a pause with jitter gets, from 0 to 1.
    """
    backoff = min(policy.initial_backoff_s * 2 ** min(pause.failures, _MAX_DOUBLINGS), policy.max_backoff_s)
    own = backoff * drawn if policy.jitter else backoff
    requested = min(error.retry_after or 0.0, _MAX_REQUESTED_WAIT_S)
    return Pause(failures=pause.failures + 1, since=now, length=max(own, requested))


class ReportDraft:
    """A report that is being written, call by call."""

    def __init__(self) -> None:
        self.saved: list[EulaDecision] = []
        self.refused: list[RefusedDecision] = []
        self.refresh: dict[str, None] = {}
        self.signed: tuple[Eula, ...] | None = None
        self.failure: ServiceError | None = None

    def add_saved(self, batch: Iterable[PendingDecision], refresh: Iterable[str]) -> None:
        self.saved.extend(one.decision for one in batch)
        self.refresh.update(dict.fromkeys(refresh))

    def add_refused(self, batch: Iterable[PendingDecision], error: ServiceError) -> None:
        self.refused.extend(RefusedDecision(one.decision, error) for one in batch)

    def finished(self, unsaved: Iterable[PendingDecision]) -> SaveReport:
        return SaveReport(
            saved=tuple(self.saved),
            refused=tuple(self.refused),
            unsaved=tuple(one.decision for one in unsaved),
            refresh=tuple(self.refresh),
            signed=self.signed,
            failure=self.failure,
        )
