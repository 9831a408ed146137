"""Which agreements a list shows.

Source: the section "list" of the design of agreements.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from .decision import Decision, Status
from .errors import ZoneNameMissing
from .eula_catalogue import Eula, EulaCatalogue, UserLocation


class Filter(StrEnum):
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SIGNED = "signed"
    ALL = "all"

    __hash__ = str.__hash__  # as that of Status


_STATUSES = {
    Filter.UNKNOWN: frozenset({Status.UNKNOWN}),
    Filter.ACCEPTED: frozenset({Status.ACCEPTED}),
    Filter.REJECTED: frozenset({Status.REJECTED}),
    Filter.SIGNED: frozenset({Status.ACCEPTED, Status.REJECTED}),
    Filter.ALL: frozenset(Status),
}


class ListedEula(NamedTuple):
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
    statuses = _STATUSES[wanted]
    listed: list[ListedEula] = []
    if location is not None and Status.UNKNOWN in statuses:
        applicable = catalogue.applicable(location)
        listed += [ListedEula(one.eula_id, one, None) for one in applicable if one.eula_id not in valid_decisions]
    decided = [
        ListedEula(eula_id, catalogue.get(eula_id), decision)
        for eula_id, decision in valid_decisions.items()
        if decision.status in statuses
    ]
    if decided:
        listed = sorted([*listed, *decided], key=lambda one: catalogue.place_of(one.eula_id))
    return listed
