"""The services that keep orders, as far as order_state needs them: what they do not tell in time is no answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import grpc

from ridehail_clients import ActiveOrder as ListedOrder
from ridehail_clients import (
    ActiveOrders,
    AsyncOrderCoreClient,
    AsyncOrderProviderClient,
    RetryPolicy,
    TicketSource,
)
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_kernel.json_values import to_struct
from ridehail_servers.chassis.dependency_calls import CallFailure, ResponseUnreadable, call_dependency
from ridehail_servers.chassis.logs import get_logger

from .keepers import KEEPERS, TAXI
from .listed_orders import is_usable
from .metrics import PROVIDER_FAILURES
from .orders import ActiveOrder, ProviderAnswer

# An attempt has all of a question's time, which is less than this.
_LONGEST_S = 10.0
_ONCE = RetryPolicy(attempts=1)

logger = get_logger(__name__)


class _Client(Protocol):
    """Asks one service."""

    async def list_active_orders(self, *, yandex_uid: str, timeout: float | None = None) -> ActiveOrders:
        """Lists a rider's orders that are under way."""


class OrderProviders:
    """Asks the services, each once and for as long as the configuration says."""

    def __init__(
        self, channels: Mapping[str, grpc.aio.Channel], *, ticket: TicketSource, timeout: Callable[[], float]
    ) -> None:
        """Makes the clients.

        Args:
            channels: To each server that keeps orders.
            ticket: Makes tickets of this service.
            timeout: Returns for how many seconds a service is waited for, at present.
        """
        self._timeout = timeout
        self._clients: dict[str, _Client] = {
            service: _client(service, server, channels[server], ticket) for service, server in KEEPERS.items()
        }

    async def ask(self, service: str, yandex_uid: str) -> ProviderAnswer | None:
        """Returns what a service answers about a rider; None when it does not answer in time, or nothing usable.

        Args:
            service: The service.
            yandex_uid: The rider.
        """
        result = await call_dependency(self._list_orders(service, yandex_uid))
        if not isinstance(result, CallFailure):
            return result
        PROVIDER_FAILURES.labels(service, result.reason).inc()
        # Of an unforeseen error the kind alone: its text may quote what is the rider's.
        unforeseen = {} if result.error is None else {"error": type(result.error).__name__}
        logger.warning("orders are not told", provider=service, reason=result.reason, **unforeseen)
        return None

    async def _list_orders(self, service: str, yandex_uid: str) -> ProviderAnswer:
        timeout = share_of_remaining(at_most=self._timeout())
        listed = await self._clients[service].list_active_orders(yandex_uid=yandex_uid, timeout=timeout)
        return ProviderAnswer(_usable(listed.orders), listed.can_make_more_orders, listed.no_more_orders_reason)


def _client(service: str, server: str, channel: grpc.aio.Channel, ticket: TicketSource) -> _Client:
    if service == TAXI:
        return AsyncOrderCoreClient(channel, ticket=ticket, retry=_ONCE, attempt_timeout=_LONGEST_S)
    return AsyncOrderProviderClient(channel, service=server, ticket=ticket, retry=_ONCE, attempt_timeout=_LONGEST_S)


def _usable(orders: Sequence[ListedOrder]) -> Sequence[ActiveOrder]:
    listed = [
        ActiveOrder(
            orderid=order.orderid,
            status=order.status,
            parts=order.parts,
            sequence=order.sequence,
            details=to_struct(order.details) if order.details else None,
        )
        for order in orders
    ]
    if not is_usable(listed):
        raise ResponseUnreadable
    return listed
