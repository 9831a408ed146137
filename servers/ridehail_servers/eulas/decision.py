"""What a user answered to an agreement, and for how long that counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .eula_catalogue import EulaCatalogue


class Status(StrEnum):
    """Where a user stands with an agreement."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Decision:
    """A stored answer.

    Attributes:
        eula_id: The agreement.
        status: ACCEPTED or REJECTED.
        revision: Of the agreement that was answered.
        valid_till: From this moment on it counts no more; aware.
        updated_at: When it was made; aware.
    """

    eula_id: str
    status: Status
    revision: int
    valid_till: datetime
    updated_at: datetime


def valid_decisions(decisions: Iterable[Decision], catalogue: EulaCatalogue, now: datetime) -> dict[str, Decision]:
    """Returns the decisions that count, by agreement.

    One on a revision older than the configured one does not: the user is asked again. One on an agreement that has left
    the configuration counts until its time is over.

    Args:
        decisions: Of one user, one for each agreement at most.
        catalogue: What is configured.
        now: The present moment.
    """
    return {decision.eula_id: decision for decision in decisions if _is_valid(decision, catalogue, now)}


def _is_valid(decision: Decision, catalogue: EulaCatalogue, now: datetime) -> bool:
    eula = catalogue.get(decision.eula_id)
    return decision.valid_till > now and (eula is None or decision.revision >= eula.revision)
