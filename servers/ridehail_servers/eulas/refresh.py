"""What an app has to ask again after it has saved answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from .eula_catalogue import Eula, EulaCatalogue

ROUTESTATS = "routestats"


def refresh(saved: Iterable[Eula], catalogue: EulaCatalogue, required_types: Mapping[str, Set[str]]) -> list[str]:
    """Returns `routestats` if a tariff of some zone depends on a saved agreement, else nothing.

    A tariff depends on the agreements of the type that it requires, as far as they apply in its zone.

    Args:
        saved: The agreements that were answered.
        catalogue: What is configured.
        required_types: Zone -> the types that its tariffs require.
    """
    depends = any(
        eula.type in types and catalogue.applies_in(eula, zone_name)
        for eula in saved
        for zone_name, types in required_types.items()
    )
    return [ROUTESTATS] if depends else []
