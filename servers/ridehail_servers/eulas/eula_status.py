"""The status of a user's agreement, and of a type of agreements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .decision import Decision, Status
from .eula_catalogue import EulaCatalogue


@dataclass(frozen=True, slots=True)
class EulaStatus:
    """The user's status with an agreement or a type.

    Attributes:
        eula_id: The agreement, or the one that decided for its type; empty if none did.
        type: Its type; empty if the agreement is not configured.
        status: The user's.
    """

    eula_id: str
    type: str
    status: Status


def status_of_eula(eula_id: str, catalogue: EulaCatalogue, valid_decisions: Mapping[str, Decision]) -> EulaStatus:
    """Returns the status of an agreement; one that is not configured is unknown."""
    eula = catalogue.get(eula_id)
    if eula is None:
        return EulaStatus(eula_id, "", Status.UNKNOWN)
    decision = valid_decisions.get(eula_id)
    return EulaStatus(eula_id, eula.type, Status.UNKNOWN if decision is None else decision.status)


def status_of_type(
    eula_type: str, catalogue: EulaCatalogue, valid_decisions: Mapping[str, Decision], zone_name: str | None
) -> EulaStatus:
    """Returns accepted if the user has accepted one agreement of the type, else rejected if one, else unknown.

    Only agreements that apply in the zone count, or all of the type without a zone. Of several that would decide alike,
    the first of the configuration does.
    """
    decisions = [valid_decisions.get(eula.eula_id) for eula in catalogue.of_type(eula_type, zone_name)]
    for status in (Status.ACCEPTED, Status.REJECTED):
        for decision in decisions:
            if decision is not None and decision.status is status:
                return EulaStatus(decision.eula_id, eula_type, status)
    return EulaStatus("", eula_type, Status.UNKNOWN)
