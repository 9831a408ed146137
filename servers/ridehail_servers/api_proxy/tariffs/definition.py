"""The wiring of tariffs and zones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ridehail_servers.chassis.service_definition import ServiceContext

from .config import TariffsConfig
from .dependencies import Eulas
from .service import RoutestatsServicer, ZoneInfoServicer
from .tariff_filter import TariffFilter

_EXPERIMENT = "plugin_eulas"


@dataclass(frozen=True, slots=True)
class Tariffs:
    """The servicers, and the adapter of eulas, which launch calls as well."""

    routestats: RoutestatsServicer
    zone_info: ZoneInfoServicer
    eulas: Eulas


def build_tariffs(context: ServiceContext, config: Callable[[], TariffsConfig]) -> Tariffs:
    eulas = Eulas(context.channels["eulas"], ticket=context.tickets, config=config)
    tariff_filter = TariffFilter(
        config,
        plugin_eulas=lambda uid: context.experiments.enabled(_EXPERIMENT, passenger=uid),
        statuses=eulas,
    )
    return Tariffs(RoutestatsServicer(tariff_filter), ZoneInfoServicer(eulas), eulas)
