"""What an app has to ask again after it has saved answers."""

from __future__ import annotations

from collections.abc import Iterable, Set

ROUTESTATS = "routestats"


def refresh(saved_types: Iterable[str], required_types: Set[str]) -> list[str]:
    """Returns `routestats` if a tariff anywhere depends on a saved type, else nothing.

    Args:
        saved_types: The types of the agreements that were answered.
        required_types: The types that tariffs require.
    """
    return [] if required_types.isdisjoint(saved_types) else [ROUTESTATS]
