"""Which version of each part is the newest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .orders import ActiveOrder, RecordedOrder

MOST_PARTS = 20
"""An app may send tags of so many parts of an order; it is never given more."""

_UNNUMBERED = 0


def fetching_order(parts: Iterable[str], policy_parts: Sequence[str]) -> list[str]:
    """Returns parts in the order in which apps should fetch them: those of the policy first, then by name.

    Args:
        parts: Each once.
        policy_parts: The parts of the order's service that the policy names, by priority.
    """
    places = {part: place for place, part in enumerate(policy_parts)}
    return sorted(parts, key=lambda part: (places.get(part, len(places)), part))


def current_versions(
    told: ActiveOrder | None, recorded: RecordedOrder | None, policy_parts: Sequence[str]
) -> dict[str, str]:
    """Returns the newest known version of each part that anything is known of; of more than `MOST_PARTS` the first.

    What the service tells is newer than what is stored if its number is higher, and always if it does not number
    changes. Of equal numbers the stored one stays: it is what polls that ask nobody answer.

    Args:
        told: What the order's service tells now; None: it was not asked, or did not answer.
        recorded: What is stored of the order; None: nothing.
        policy_parts: The parts of the order's service that the policy names, by priority.
    """
    versions = {} if recorded is None else {part: known.version for part, known in recorded.parts.items()}
    if told is not None:
        for part, version in told.parts.items():
            known = None if recorded is None else recorded.parts.get(part)
            if known is None or told.sequence == _UNNUMBERED or told.sequence > known.sequence:
                versions[part] = version
    return {part: versions[part] for part in fetching_order(versions, policy_parts)[:MOST_PARTS]}


def is_news(told: ActiveOrder, recorded: RecordedOrder | None) -> bool:
    """Tells whether what a service tells has to be stored.

    Else a later poll that asks nobody would answer an older version than this one. Without numbers it cannot be told
    which of two versions is the newer one, so nothing is stored.

    Args:
        told: What the order's service tells now.
        recorded: What is stored of the order; None: nothing.
    """
    if told.sequence == _UNNUMBERED:
        return False
    if recorded is None or recorded.finish_sequence < told.sequence:
        return True
    return any(part not in recorded.parts or recorded.parts[part].sequence < told.sequence for part in told.parts)
