"""Decides which version of each part is the newest, and which parts of an order an app should fetch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice

from .orders import ActiveOrder, KnownOrder, RecordedOrder

MAX_PARTS = 20
"""An app may send versions of so many parts of an order; it never receives more."""

_UNNUMBERED = 0


def current_versions(
    listed: ActiveOrder | None, recorded: RecordedOrder | None, policy_parts: Sequence[str]
) -> dict[str, str]:
    """Returns the newest known version of each part; of more than `MAX_PARTS` the first.

    What the provider lists is newer than what is stored if its number is higher, and always if it does not number
    changes. Of equal numbers the stored one stays: it is what polls that query nobody return.

    Args:
        listed: The order as its provider lists it now, if it was queried and responded.
        recorded: What is stored of the order, if anything.
        policy_parts: The parts of the order's service that the policy names, by priority.
    """
    versions = {} if recorded is None else {part: known.version for part, known in recorded.parts.items()}
    if listed is not None:
        for part, version in listed.parts.items():
            known = None if recorded is None else recorded.parts.get(part)
            if known is None or listed.sequence == _UNNUMBERED or listed.sequence > known.sequence:
                versions[part] = version
    return {part: versions[part] for part in _fetching_order(versions, policy_parts)[:MAX_PARTS]}


def is_news(listed: ActiveOrder, recorded: RecordedOrder | None) -> bool:
    """Decides whether what a provider lists has to be stored.

    Else a later poll that queries nobody would return an older version than this one. Without numbers nothing says
    which of two versions is the newer one, so nothing is stored.
    """
    if listed.sequence == _UNNUMBERED:
        return False
    if recorded is None or recorded.finish_sequence < listed.sequence:
        return True
    return any(part not in recorded.parts or recorded.parts[part].sequence < listed.sequence for part in listed.parts)


def parts_to_request(known: KnownOrder | None, versions: Mapping[str, str], policy_parts: Sequence[str]) -> list[str]:
    """Returns the parts that the app lacks, or all of them if it forces; those of the policy first, then by name.

    Args:
        known: What the app has, or None if it does not know the order.
        versions: Of `current_versions`.
        policy_parts: The parts of the order's service that the policy names, by priority.
    """
    if known is not None and known.force:
        wanted = versions.keys() | known.tags.keys() | set(policy_parts)
    else:
        tags = {} if known is None else known.tags
        wanted = {part for part, version in versions.items() if tags.get(part) != version}
    return _fetching_order(wanted, policy_parts)


def returned_tags(known: KnownOrder | None, versions: Mapping[str, str]) -> dict[str, str]:
    """Returns the current version of each part, and the app's own of a part of which no version is known.

    At most `MAX_PARTS`, since the app sends them again.
    """
    others = () if known is None else ((part, tag) for part, tag in known.tags.items() if part not in versions)
    return dict(islice(chain(versions.items(), others), MAX_PARTS))


def _fetching_order(parts: Iterable[str], policy_parts: Sequence[str]) -> list[str]:
    ranks = {part: rank for rank, part in enumerate(policy_parts)}
    return sorted(parts, key=lambda part: (ranks.get(part, len(ranks)), part))
