"""Decides which version of each part is the newest, and which parts of an order an app should fetch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .orders import ActiveOrder, KnownOrder, PartVersion, RecordedOrder

MAX_PARTS = 20
"""An app may send versions of so many parts of an order; it never receives more."""

_UNNUMBERED = 0
_NOTHING: Mapping[str, PartVersion] = {}


def newest_versions(listed: ActiveOrder | None, recorded: RecordedOrder | None) -> Mapping[str, PartVersion]:
    """Returns the newest known version of each part.

    What the provider lists is newer than what is stored if its number is higher, and always if it does not number
    changes. Of equal numbers the stored one stays: it is what polls that query nobody return.

    Args:
        listed: The order as its provider lists it now, if it was queried and responded.
        recorded: What is stored of the order, if anything.
    """
    stored = _NOTHING if recorded is None else recorded.parts
    if listed is None:
        return stored
    sequence = listed.sequence
    newer = {
        part: (version, sequence)
        for part, version in listed.parts.items()
        if part not in stored or sequence == _UNNUMBERED or sequence > stored[part][1]
    }
    return {**stored, **newer}


def is_news(listed: ActiveOrder, recorded: RecordedOrder | None) -> bool:
    """Decides whether what a provider lists has to be stored.

    Else a later poll that queries nobody would return an older version than this one. Without numbers nothing says
    which of two versions is the newer one, so nothing is stored.
    """
    if listed.sequence == _UNNUMBERED:
        return False
    if recorded is None or recorded.finish_sequence < listed.sequence:
        return True
    return any(part not in recorded.parts or recorded.parts[part][1] < listed.sequence for part in listed.parts)


def tags_and_needs(
    known: KnownOrder | None, versions: Mapping[str, PartVersion], policy_parts: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Returns the tags of an order as an app receives it, and the parts that the app should fetch.

    Tags are the versions, and the app's own tags of parts of which no version is known: `MAX_PARTS` at most, since the
    app sends them again. To be fetched are the parts that the app lacks, or all of them if it forces; those of the
    policy come first, then the others by name.

    Args:
        known: What the app has, or None if it does not know the order.
        versions: The newest known version of each part; of more than `MAX_PARTS` the first to be fetched count.
        policy_parts: The parts of the order's service that the policy names, by priority.
    """
    mine: Mapping[str, str] = {} if known is None else known.tags
    tag_of = mine.get
    tags: dict[str, str] = {}
    needed: list[str] = []
    for part in _fetching_order(versions, policy_parts)[:MAX_PARTS]:
        tags[part] = version = versions[part][0]
        if tag_of(part) != version:
            needed.append(part)
    if known is not None and known.force:
        needed = _fetching_order({*tags, *mine, *policy_parts}, policy_parts)
    if others := [part for part in mine if part not in tags]:
        tags.update((part, mine[part]) for part in others[: MAX_PARTS - len(tags)])
    return tags, needed


def _fetching_order(parts: Collection[str], policy_parts: Sequence[str]) -> list[str]:
    first = [part for part in policy_parts if part in parts]
    if len(first) < len(parts):
        first += sorted(set(parts).difference(first))
    return first
