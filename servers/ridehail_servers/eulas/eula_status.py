"""The status of a user's agreement, and of a type of agreements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .decision import Decision, Status
from .eula_catalogue import EulaCatalogue


class EulaStatus(NamedTuple):
    """The user's status with an agreement or a type.

    Attributes:
        eula_id: The agreement, or the one that decided for its type; empty if none did.
        type: Its type; empty if the agreement is not configured.
        status: The user's.
    """

    eula_id: str
    type: str
    status: Status


class EulaCheck(NamedTuple):
    """What is requested of a user: the status with agreements or with types of them.

    Attributes:
        yandex_uid: The user.
        eula_ids: The agreements. Either these or `eula_types` are given.
        eula_types: The types.
        zone_name: Where the types are judged, or None for everywhere.
    """

    yandex_uid: str
    eula_ids: Sequence[str] = ()
    eula_types: Sequence[str] = ()
    zone_name: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether exactly one of the two lists is given."""
        return bool(self.eula_ids) != bool(self.eula_types)

    def statuses(self, catalogue: EulaCatalogue, valid_decisions: Mapping[str, Decision]) -> list[EulaStatus]:
        """Returns the user's statuses, one for each distinct agreement or type, in their order."""
        if self.eula_ids:
            return [status_of_eula(one, catalogue, valid_decisions) for one in dict.fromkeys(self.eula_ids)]
        return [
            status_of_type(one, catalogue, valid_decisions, self.zone_name) for one in dict.fromkeys(self.eula_types)
        ]


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
    rejected = ""
    for eula in catalogue.of_type(eula_type):
        decision = valid_decisions.get(eula.eula_id)
        if decision is None or not (zone_name is None or catalogue.applies_in(eula, zone_name)):
            continue
        if decision.status is Status.ACCEPTED:
            return EulaStatus(eula.eula_id, eula_type, Status.ACCEPTED)
        rejected = rejected or eula.eula_id
    return EulaStatus(rejected, eula_type, Status.REJECTED if rejected else Status.UNKNOWN)
