"""Which agreements a list shows.

Source: the section "list" of the design of agreements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .decision import Decision, Status
from .errors import ZoneNameMissing
from .eula_catalogue import Eula, EulaCatalogue, Whereabouts


class Filter(StrEnum):
    """What is asked for."""

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
        eula: What is configured; None when it has left the configuration.
        decision: The valid one; None: there is none.
    """

    eula_id: str
    eula: Eula | None
    decision: Decision | None

    @property
    def status(self) -> Status:
        """Where the user stands."""
        return Status.UNKNOWN if self.decision is None else self.decision.status


def check_filter(wanted: Filter, whereabouts: Whereabouts | None) -> None:
    """Refuses a filter that shows what the user has to see to somebody who is nowhere.

    Args:
        wanted: What is asked for.
        whereabouts: Where the user is, if told.

    Raises:
        ZoneNameMissing: The filter needs to know.
    """
    if whereabouts is None and Status.UNKNOWN in _STATUSES[wanted]:
        raise ZoneNameMissing(wanted)


def list_eulas(
    wanted: Filter,
    catalogue: EulaCatalogue,
    valid_decisions: Mapping[str, Decision],
    whereabouts: Whereabouts | None,
) -> list[ListedEula]:
    """Returns the agreements of the filter: configured ones in the order of the configuration, then the others by id.

    Args:
        wanted: What is asked for, see `check_filter`.
        catalogue: What is configured.
        valid_decisions: The user's, by agreement: all that count, of whatever zone.
        whereabouts: Where the user is: decides which agreements there are to decide on.
    """
    concerned = () if whereabouts is None else catalogue.that_concern(whereabouts)
    shown = {eula.eula_id for eula in concerned} | valid_decisions.keys()
    configured = [
        ListedEula(eula.eula_id, eula, valid_decisions.get(eula.eula_id))
        for eula in catalogue.eulas
        if eula.eula_id in shown
    ]
    return [
        listed for listed in (*configured, *_gone(catalogue, valid_decisions.values())) if _is_wanted(wanted, listed)
    ]


def _gone(catalogue: EulaCatalogue, decisions: Iterable[Decision]) -> list[ListedEula]:
    gone = [decision for decision in decisions if catalogue.get(decision.eula_id) is None]
    return [ListedEula(one.eula_id, None, one) for one in sorted(gone, key=lambda one: one.eula_id)]


def _is_wanted(wanted: Filter, listed: ListedEula) -> bool:
    return listed.status in _STATUSES[wanted]
