"""Which agreements a list shows.

Source: the section "list" of the design of agreements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .decision import Decision, Status
from .errors import ZoneNameMissing
from .eula_catalogue import Eula, EulaCatalogue, UserLocation


class Filter(StrEnum):
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SIGNED = "signed"
    ALL = "all"


_STATUSES = {
    Filter.UNKNOWN: frozenset({Status.UNKNOWN}),
    Filter.ACCEPTED: frozenset({Status.ACCEPTED}),
    Filter.REJECTED: frozenset({Status.REJECTED}),
    Filter.SIGNED: frozenset({Status.ACCEPTED, Status.REJECTED}),
    Filter.ALL: frozenset(Status),
}


@dataclass(frozen=True, slots=True)
class ListedEula:
    """An agreement, as one user has it.

    Attributes:
        eula_id: The agreement.
        eula: What is configured, or None if it has left the configuration.
        decision: The valid one, or None.
    """

    eula_id: str
    eula: Eula | None
    decision: Decision | None

    @property
    def status(self) -> Status:
        return Status.UNKNOWN if self.decision is None else self.decision.status


def check_filter(wanted: Filter, location: UserLocation | None) -> None:
    """Refuses a filter that includes undecided agreements when the location is unknown.

    Raises:
        ZoneNameMissing: The filter needs a location.
    """
    if location is None and Status.UNKNOWN in _STATUSES[wanted]:
        raise ZoneNameMissing(wanted)


def filter_eulas(
    wanted: Filter,
    catalogue: EulaCatalogue,
    valid_decisions: Mapping[str, Decision],
    location: UserLocation | None,
) -> list[ListedEula]:
    """Returns the agreements of the filter: configured ones in the order of the configuration, then the others by id.

    Args:
        wanted: See `check_filter`.
        catalogue: What is configured.
        valid_decisions: The user's valid decisions of all zones, by agreement.
        location: Decides which agreements the user has to decide on.
    """
    applicable = () if location is None else catalogue.applicable(location)
    shown = {eula.eula_id for eula in applicable} | valid_decisions.keys()
    configured = [
        ListedEula(eula.eula_id, eula, valid_decisions.get(eula.eula_id))
        for eula in catalogue.eulas
        if eula.eula_id in shown
    ]
    unconfigured = [
        ListedEula(eula_id, None, decision)
        for eula_id, decision in sorted(valid_decisions.items())
        if catalogue.get(eula_id) is None
    ]
    return [listed for listed in (*configured, *unconfigured) if listed.status in _STATUSES[wanted]]
