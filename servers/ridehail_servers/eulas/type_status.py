"""Where a user stands with certain agreements, or with all agreements of a type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .decision import Decision, Status
from .eula_catalogue import EulaCatalogue


@dataclass(frozen=True, slots=True)
class Standing:
    """An answer to one question.

    Attributes:
        eula_id: The agreement that was asked for, or the one that decided for its type; empty: none did.
        type: Its type; empty: it is not configured.
        status: Where the user stands.
    """

    eula_id: str
    type: str
    status: Status


def standing_of_eula(eula_id: str, catalogue: EulaCatalogue, valid_decisions: Mapping[str, Decision]) -> Standing:
    """Returns where the user stands with an agreement; with one that is not configured, unknown.

    Args:
        eula_id: The agreement.
        catalogue: What is configured.
        valid_decisions: The user's, by agreement.
    """
    eula = catalogue.get(eula_id)
    if eula is None:
        return Standing(eula_id, "", Status.UNKNOWN)
    decision = valid_decisions.get(eula_id)
    return Standing(eula_id, eula.type, Status.UNKNOWN if decision is None else decision.status)


def standing_of_type(
    eula_type: str, catalogue: EulaCatalogue, valid_decisions: Mapping[str, Decision], zone_name: str | None
) -> Standing:
    """Returns accepted if the user has accepted one agreement of the type, else rejected if one, else unknown.

    Only agreements that apply in the zone count. Of several that would decide alike, the first of the configuration
    does.

    Args:
        eula_type: The type.
        catalogue: What is configured.
        valid_decisions: The user's, by agreement.
        zone_name: The zone, or None: all agreements of the type count.
    """
    decisions = [valid_decisions.get(eula.eula_id) for eula in catalogue.of_type(eula_type, zone_name)]
    for status in (Status.ACCEPTED, Status.REJECTED):
        for decision in decisions:
            if decision is not None and decision.status is status:
                return Standing(decision.eula_id, eula_type, status)
    return Standing("", eula_type, Status.UNKNOWN)
