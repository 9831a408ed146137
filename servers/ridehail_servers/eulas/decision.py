"""What a user decided on an agreement, and for how long that counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .eula_catalogue import EulaCatalogue


class Status(StrEnum):
    """A user's status with an agreement."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Decision:
    """A stored decision.

    Attributes:
        eula_id: The agreement.
        status: ACCEPTED or REJECTED.
        revision: Of the agreement when the user decided.
        valid_till: From then on it no longer counts; aware.
        updated_at: When the user decided; aware.
    """

    eula_id: str
    status: Status
    revision: int
    valid_till: datetime
    updated_at: datetime


def valid_decisions(decisions: Iterable[Decision], catalogue: EulaCatalogue, now: datetime) -> dict[str, Decision]:
    """Returns the decisions of one user that count, by agreement.

    A decision on a revision older than the configured one does not: the user has to decide again. One on an agreement
    that has left the configuration counts until its `valid_till`.
    """
    return {decision.eula_id: decision for decision in decisions if _is_valid(decision, catalogue, now)}


def _is_valid(decision: Decision, catalogue: EulaCatalogue, now: datetime) -> bool:
    eula = catalogue.get(decision.eula_id)
    return decision.valid_till > now and (eula is None or decision.revision >= eula.revision)
