"""Which tariffs a rider may be shown, by the rider's agreements (`plugin_eulas`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ridehail_clients import EulaState

from .config import EulaRequirement, TariffsConfig

_UNAVAILABLE = "eulas_unavailable"


@dataclass(frozen=True, slots=True)
class FilteredTariffs:
    """Tariffs, each in exactly one of the two.

    Attributes:
        shown: Those that may be shown.
        hidden: The others -> why: `eula_unknown`, `eula_accepted` or `eula_rejected`: the rider's status, which is not
            allowed; `eulas_unavailable`: nobody knows the status, and `unknown` is not allowed.
    """

    shown: Sequence[str]
    hidden: Mapping[str, str]


class EulaStatuses(Protocol):
    """Finds riders' statuses."""

    async def get_statuses(
        self, yandex_uid: str, eula_types: Sequence[str], *, zone_name: str
    ) -> Mapping[str, EulaState] | None:
        """Returns the rider's status with each of the types in the zone, or None if eulas does not respond in time."""


class TariffFilter:
    """Filters tariffs by the rider's agreements.

    Args:
        config: Returns the present configuration.
        plugin_eulas: Returns whether a rider, by uid, takes part in the experiment.
        statuses: Finds riders' statuses.
    """

    def __init__(
        self, config: Callable[[], TariffsConfig], *, plugin_eulas: Callable[[str], bool], statuses: EulaStatuses
    ) -> None:
        self._config = config
        self._plugin_eulas = plugin_eulas
        self._statuses = statuses

    async def filter(self, yandex_uid: str, *, zone_name: str, tariffs: Sequence[str]) -> FilteredTariffs:
        """Returns which of the tariffs may be shown to a rider.

        Looks the rider's agreements up once, and only where a tariff requires one.
        """
        config = self._config()
        requirements = config.requirements_of(zone_name)
        types = required_types(tariffs, requirements)
        statuses: Mapping[str, EulaState] | None = {}
        if types:
            is_on = config.eulas_service_enabled and self._plugin_eulas(yandex_uid)
            statuses = await self._statuses.get_statuses(yandex_uid, types, zone_name=zone_name) if is_on else None
        return filter_tariffs(tariffs, requirements, statuses)


def required_types(tariffs: Sequence[str], requirements: Mapping[str, EulaRequirement]) -> tuple[str, ...]:
    """Returns the types of agreement for which the filter needs the rider's status, each once."""
    met = (requirements[tariff] for tariff in tariffs if tariff in requirements)
    return tuple(dict.fromkeys(requirement.eula_type for requirement in met if requirement.is_eula_required))


def filter_tariffs(
    tariffs: Sequence[str],
    requirements: Mapping[str, EulaRequirement],
    statuses: Mapping[str, EulaState] | None,
) -> FilteredTariffs:
    """Divides tariffs into those that may be shown and those that may not, in their order, each once.

    Args:
        tariffs: The tariffs that could be shown.
        requirements: What tariffs require.
        statuses: The rider's status with each of the required types. None: nobody knows; all count as unknown.
    """
    reasons = {tariff: _reason_to_hide(requirements.get(tariff), statuses) for tariff in tariffs}
    return FilteredTariffs(
        shown=[tariff for tariff, reason in reasons.items() if reason is None],
        hidden={tariff: reason for tariff, reason in reasons.items() if reason is not None},
    )


def _reason_to_hide(requirement: EulaRequirement | None, statuses: Mapping[str, EulaState] | None) -> str | None:
    if requirement is None or not requirement.is_eula_required:
        return None
    status = EulaState.UNKNOWN if statuses is None else statuses[requirement.eula_type]
    if status in requirement.eula_statuses:
        return None
    return _UNAVAILABLE if statuses is None else f"eula_{status}"
