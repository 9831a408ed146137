"""Which tariffs a rider may be shown, by the rider's agreements (`plugin_eulas`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ridehail_clients import EulaState

from .config import EulaRequirement

_CANNOT_BE_TOLD = "eulas_unavailable"


@dataclass(frozen=True, slots=True)
class HiddenTariff:
    """A tariff that is not shown.

    Attributes:
        tariff: The tariff.
        reason: `eula_unknown`, `eula_accepted` or `eula_rejected`: the rider's status, which is not allowed;
            `eulas_unavailable`: the status cannot be told, and `unknown` is not allowed.
    """

    tariff: str
    reason: str


@dataclass(frozen=True, slots=True)
class FilteredTariffs:
    """Tariffs, each in exactly one of the two lists.

    Attributes:
        shown: Those that may be shown.
        hidden: The others.
    """

    shown: tuple[str, ...]
    hidden: tuple[HiddenTariff, ...]


def required_types(tariffs: Sequence[str], requirements: Mapping[str, EulaRequirement]) -> tuple[str, ...]:
    """Returns the types of agreement that the filter has to know the rider's status with, each once.

    Args:
        tariffs: The tariffs that could be shown.
        requirements: What tariffs require.
    """
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
        statuses: The rider's status with each of the required types; None: it cannot be told, and counts as unknown.
    """
    reasons = {tariff: _reason_to_hide(requirements.get(tariff), statuses) for tariff in tariffs}
    return FilteredTariffs(
        shown=tuple(tariff for tariff, reason in reasons.items() if reason is None),
        hidden=tuple(HiddenTariff(tariff, reason) for tariff, reason in reasons.items() if reason is not None),
    )


def _reason_to_hide(requirement: EulaRequirement | None, statuses: Mapping[str, EulaState] | None) -> str | None:
    if requirement is None or not requirement.is_eula_required:
        return None
    status = EulaState.UNKNOWN if statuses is None else statuses[requirement.eula_type]
    if status in requirement.eula_statuses:
        return None
    return _CANNOT_BE_TOLD if statuses is None else f"eula_{status}"
