"""What a user decided on an agreement, and for how long that counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from .eula_catalogue import EulaCatalogue


class Status(StrEnum):
    """A user's status with an agreement."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REJECTED = "rejected"

    # Enum's own is written in Python, and takes five times as long.
    __hash__ = str.__hash__


class Decision(NamedTuple):
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
    return {
        decision.eula_id: decision
        for decision in decisions
        if decision.valid_till > now
        and ((eula := catalogue.get(decision.eula_id)) is None or decision.revision >= eula.revision)
    }
