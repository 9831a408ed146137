"""Which parts of an order an app should fetch, and with which tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice

from .orders import KnownOrder
from .part_versions import MOST_PARTS, fetching_order


def parts_to_request(known: KnownOrder | None, versions: Mapping[str, str], policy_parts: Sequence[str]) -> list[str]:
    """Returns the parts that the app lacks, or all of them if it forces; those of the policy first, then by name.

    Args:
        known: What the app has; None: it does not know the order.
        versions: The current version of each part that anything is known of.
        policy_parts: The parts of the order's service that the policy names, by priority.
    """
    if known is not None and known.force:
        wanted = versions.keys() | known.tags.keys() | set(policy_parts)
    else:
        tags = {} if known is None else known.tags
        wanted = {part for part, version in versions.items() if tags.get(part) != version}
    return fetching_order(wanted, policy_parts)


def answered_tags(known: KnownOrder | None, versions: Mapping[str, str]) -> dict[str, str]:
    """Returns the current version of each part, and the app's own tag of a part that nothing is known of.

    At most `MOST_PARTS`, since the app sends them again.

    Args:
        known: What the app has; None: it does not know the order.
        versions: The current version of each part that anything is known of.
    """
    others = () if known is None else ((part, tag) for part, tag in known.tags.items() if part not in versions)
    return dict(islice(chain(versions.items(), others), MOST_PARTS))
