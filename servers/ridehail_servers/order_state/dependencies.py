"""Calls the providers of orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import grpc
from prometheus_client import Counter

from ridehail_clients import ActiveOrder as ListedOrder
from ridehail_clients import ActiveOrders as ListedOrders
from ridehail_clients import AsyncOrderCoreClient, AsyncOrderProviderClient, RetryPolicy, TicketSource
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_kernel.json_values import to_struct
from ridehail_servers.chassis.dependency_calls import CallFailure, ResponseUnreadable, call_dependency
from ridehail_servers.chassis.logs import get_logger

from .orders import PROVIDERS, TAXI, ActiveOrder, ActiveOrders, is_valid_list

# An attempt has all of a query's time, which is less than this.
_MAX_ATTEMPT_S = 10.0
_ONCE = RetryPolicy(attempts=1)

PROVIDER_FAILURES = Counter(
    "ridehail_order_state_provider_failures",
    "Failed queries of a provider about a rider's orders, by the reason.",
    ("provider", "reason"),
)

logger = get_logger(__name__)


class _Client(Protocol):
    async def list_active_orders(self, *, yandex_uid: str, timeout: float | None = None) -> ListedOrders:
        """Lists a rider's orders that are under way."""


class OrderProviders:
    """Queries the providers, each once and for as long as the configuration says.

    Args:
        channels: To each server of the provider registry.
        ticket: Makes tickets of this service.
        timeout: Returns the timeout in seconds at present.
    """

    def __init__(
        self, channels: Mapping[str, grpc.aio.Channel], *, ticket: TicketSource, timeout: Callable[[], float]
    ) -> None:
        self._timeout = timeout
        self._clients: dict[str, _Client] = {
            service: _client(service, server, channels[server], ticket) for service, server in PROVIDERS.items()
        }

    async def active_orders(self, service: str, yandex_uid: str) -> ActiveOrders | None:
        """Returns a provider's response about a rider, or None without a usable one in time."""
        result = await call_dependency(self._list_orders(service, yandex_uid))
        if not isinstance(result, CallFailure):
            return result
        PROVIDER_FAILURES.labels(service, result.reason).inc()
        # Of an unforeseen error the kind alone: its text may quote what is the rider's.
        unforeseen = {} if result.error is None else {"error": type(result.error).__name__}
        logger.warning("provider query failed", provider=service, reason=result.reason, **unforeseen)
        return None

    async def _list_orders(self, service: str, yandex_uid: str) -> ActiveOrders:
        timeout = share_of_remaining(at_most=self._timeout())
        listed = await self._clients[service].list_active_orders(yandex_uid=yandex_uid, timeout=timeout)
        return ActiveOrders(_valid(listed.orders), listed.can_make_more_orders, listed.no_more_orders_reason)


def _client(service: str, server: str, channel: grpc.aio.Channel, ticket: TicketSource) -> _Client:
    if service == TAXI:
        return AsyncOrderCoreClient(channel, ticket=ticket, retry=_ONCE, attempt_timeout=_MAX_ATTEMPT_S)
    return AsyncOrderProviderClient(channel, service=server, ticket=ticket, retry=_ONCE, attempt_timeout=_MAX_ATTEMPT_S)


def _valid(orders: Sequence[ListedOrder]) -> Sequence[ActiveOrder]:
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
    if not is_valid_list(listed):
        raise ResponseUnreadable
    return listed
