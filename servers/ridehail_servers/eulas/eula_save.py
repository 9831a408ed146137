"""Which decisions a save stores, and what the app has to request again after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from .decision import Decision, Status
from .errors import EulaNotFound, EulaNotRejectable
from .eula_catalogue import Eula, EulaCatalogue

ROUTESTATS = "routestats"


@dataclass(frozen=True, slots=True)
class NewDecision:
    """What a user decided on an agreement; `status` is ACCEPTED or REJECTED."""

    eula_id: str
    status: Status


def accepted_decisions(batch: Sequence[NewDecision], catalogue: EulaCatalogue, now: datetime) -> list[Decision]:
    """Returns the decisions to store, one for each agreement: the last of a batch that decides on it several times.

    One that a later one of the same batch overrides is never in force, so it is not stored; yet it has to be valid.

    Args:
        batch: In the order in which the user decided.
        catalogue: What is configured.
        now: Aware.

    Raises:
        EulaNotFound: An agreement is not configured. The first invalid decision of the batch is reported.
        EulaNotRejectable: An agreement must not be rejected.
    """
    decisions: dict[str, Decision] = {}
    for new in batch:
        eula = catalogue.get(new.eula_id)
        if eula is None:
            raise EulaNotFound(new.eula_id)
        if new.status is Status.REJECTED and not eula.rejectable:
            raise EulaNotRejectable(new.eula_id)
        valid_till = now + timedelta(seconds=eula.ttl_s)
        decisions[eula.eula_id] = Decision(eula.eula_id, new.status, eula.revision, valid_till, now)
    return list(decisions.values())


def refresh(saved: Iterable[Eula], catalogue: EulaCatalogue, required_types: Mapping[str, Set[str]]) -> list[str]:
    """Returns `routestats` if a tariff of some zone depends on a saved agreement, else nothing.

    A tariff depends on the agreements of the type that it requires, as far as they apply in its zone.

    Args:
        saved: The agreements that were decided on.
        catalogue: What is configured.
        required_types: Zone -> the types that its tariffs require.
    """
    depends = any(
        eula.type in types and catalogue.applies_in(eula, zone_name)
        for eula in saved
        for zone_name, types in required_types.items()
    )
    return [ROUTESTATS] if depends else []
