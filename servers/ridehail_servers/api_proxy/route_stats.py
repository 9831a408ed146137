"""What routestats tells a rider's app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ridehail_clients import EulaState

from .config import ApiProxyConfig, Patience
from .tariff_filter import FilteredTariffs, filter_tariffs, required_types


class Statuses(Protocol):
    """Knows where riders stand with agreements."""

    async def statuses_of(
        self, yandex_uid: str, eula_types: Sequence[str], *, zone_name: str, patience: Patience
    ) -> Mapping[str, EulaState] | None:
        """Returns the rider's status with each of the types in the zone; None when it cannot be told in time."""


class RouteStats:
    """Filters tariffs by the rider's agreements.

    Args:
        config: Returns the present configuration.
        plugin_eulas: Tells whether a rider, by uid, takes part in the experiment.
        statuses: Knows where riders stand.
    """

    def __init__(
        self, config: Callable[[], ApiProxyConfig], *, plugin_eulas: Callable[[str], bool], statuses: Statuses
    ) -> None:
        self._config = config
        self._plugin_eulas = plugin_eulas
        self._statuses = statuses

    async def tariffs_for(self, yandex_uid: str, *, zone_name: str, tariffs: Sequence[str]) -> FilteredTariffs:
        """Returns which of the tariffs may be shown to a rider.

        Asks for the rider's agreements once, and only where a tariff requires one.

        Args:
            yandex_uid: The rider.
            zone_name: Where the rider is.
            tariffs: The tariffs that could be shown.
        """
        config = self._config()
        requirements = config.requirements_of(zone_name)
        types = required_types(tariffs, requirements)
        return filter_tariffs(tariffs, requirements, await self._statuses_of(yandex_uid, types, zone_name, config))

    async def _statuses_of(
        self, yandex_uid: str, eula_types: Sequence[str], zone_name: str, config: ApiProxyConfig
    ) -> Mapping[str, EulaState] | None:
        if not eula_types:
            return {}
        if not config.eulas_service_enabled or not self._plugin_eulas(yandex_uid):
            return None
        return await self._statuses.statuses_of(yandex_uid, eula_types, zone_name=zone_name, patience=config.patience)
