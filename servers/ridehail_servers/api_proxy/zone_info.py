"""What zoneinfo tells a rider's app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ridehail_clients import Eula

from .config import ApiProxyConfig, Patience


class Unanswered(Protocol):
    """Knows which agreements riders have yet to answer."""

    async def unanswered(
        self, yandex_uid: str, *, zone_name: str, locale: str, patience: Patience
    ) -> Sequence[Eula] | None:
        """Returns the zone's agreements that the rider has not answered; None when they cannot be told in time."""


class ZoneInfo:
    """Tells what a zone asks of riders.

    Args:
        config: Returns the present configuration.
        agreements: Knows what riders have yet to answer.
    """

    def __init__(self, config: Callable[[], ApiProxyConfig], *, agreements: Unanswered) -> None:
        self._config = config
        self._agreements = agreements

    async def need_acceptance(self, yandex_uid: str, *, zone_name: str, locale: str) -> Sequence[Eula] | None:
        """Returns the zone's agreements that the rider has yet to answer; None when they cannot be told.

        Args:
            yandex_uid: The rider.
            zone_name: Where the rider is.
            locale: The languages for titles and texts, as in the header Accept-Language; may be empty.
        """
        config = self._config()
        if not config.eulas_service_enabled:
            return None
        return await self._agreements.unanswered(
            yandex_uid, zone_name=zone_name, locale=locale, patience=config.patience
        )
