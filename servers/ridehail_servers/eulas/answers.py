"""Which answers are taken, and until when they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .decision import Decision, Status
from .errors import EulaNotFound, EulaNotRejectable
from .eula_catalogue import Eula, EulaCatalogue


@dataclass(frozen=True, slots=True)
class Answer:
    """A user's answer to an agreement.

    Attributes:
        eula_id: The agreement.
        status: ACCEPTED or REJECTED.
    """

    eula_id: str
    status: Status


def decide(answers: Sequence[Answer], catalogue: EulaCatalogue, now: datetime) -> list[Decision]:
    """Returns the decisions that a batch of answers makes, one for each agreement: of several answers to one the last.

    An answer that a later one of the same batch overrides is never in force, so it makes no decision; it has to be a
    possible one all the same.

    Args:
        answers: In the order in which they were given.
        catalogue: What is configured.
        now: The present moment.

    Raises:
        EulaNotFound: An agreement is not configured. Of several bad answers the first is told.
        EulaNotRejectable: An agreement must not be rejected.
    """
    decisions: dict[str, Decision] = {}
    for answer in answers:
        eula = _answered(answer, catalogue)
        decisions[eula.eula_id] = Decision(eula.eula_id, answer.status, eula.revision, now + eula.ttl, now)
    return list(decisions.values())


def _answered(answer: Answer, catalogue: EulaCatalogue) -> Eula:
    eula = catalogue.get(answer.eula_id)
    if eula is None:
        raise EulaNotFound(answer.eula_id)
    if answer.status is Status.REJECTED and not eula.rejectable:
        raise EulaNotRejectable(answer.eula_id)
    return eula
