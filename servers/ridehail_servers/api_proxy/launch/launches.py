"""What a rider's app is told when it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from ridehail_clients import KnownOrder, OrdersStateAndPolicy
from ridehail_servers.api_proxy.config import ApiProxyConfig, Patience

from .orders_state import OrdersStates


class Accepted(Protocol):
    """Knows which agreements riders have accepted."""

    async def accepted(self, yandex_uid: str, *, patience: Patience) -> Sequence[str] | None:
        """Returns the ids of those that the rider has accepted; None when they cannot be told in time."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What an app is told.

    Attributes:
        orders_state: The rider's orders and how to poll them; None: they cannot be told, or the app cannot poll.
        accepted: Ids of the agreements that the rider has accepted; None: they cannot be told.
    """

    orders_state: OrdersStateAndPolicy | None
    accepted: Sequence[str] | None


class Launches:
    """Tells apps what they need at their start.

    Args:
        config: Returns the present configuration.
        orders_states: Tells riders' orders.
        agreements: Knows what riders have accepted.
    """

    def __init__(
        self, config: Callable[[], ApiProxyConfig], *, orders_states: OrdersStates, agreements: Accepted
    ) -> None:
        self._config = config
        self._orders_states = orders_states
        self._agreements = agreements

    async def launch(
        self, yandex_uid: str, *, supported_services: Collection[str], known_orders: Sequence[KnownOrder]
    ) -> Launch:
        """Returns what a rider's app is told; what cannot be told in time is None.

        Args:
            yandex_uid: The rider.
            supported_services: The services whose orders the app can poll; empty: none.
            known_orders: The orders that the app knows, each once.
        """
        orders_state, accepted = await asyncio.gather(
            self._orders_states.of(yandex_uid, supported_services=supported_services, known_orders=known_orders),
            self._accepted(yandex_uid),
        )
        return Launch(orders_state=orders_state, accepted=accepted)

    async def _accepted(self, yandex_uid: str) -> Sequence[str] | None:
        config = self._config()
        if not config.eulas_service_enabled:
            return None
        return await self._agreements.accepted(yandex_uid, patience=config.patience)
