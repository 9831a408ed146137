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
    ServiceError,
    TicketSource,
)
from ridehail_kernel import call_context
from ridehail_kernel.json_values import to_struct
from ridehail_servers.chassis.logs import get_logger

from .keepers import KEEPERS, TAXI
from .listed_orders import is_usable
from .metrics import PROVIDER_FAILURES
from .orders import ActiveOrder, ProviderAnswer

# Of what is left of the call's time: the rest is for the answer without the service.
_WAIT_SHARE = 0.8
# An attempt has all of a question's time, which is less than this.
_LONGEST_S = 10.0
_ONCE = RetryPolicy(attempts=1)

logger = get_logger(__name__)


class _AnswerUnreadable(Exception):
    """The service answered what its contract does not allow."""


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
        try:
            told = await self._clients[service].list_active_orders(yandex_uid=yandex_uid, timeout=self._patience())
            return ProviderAnswer(_usable(told.orders), told.can_make_more_orders, told.no_more_orders_reason)
        except ServiceError as error:
            # The reasons of the catalogue are few; what another server calls its reason may be anything.
            _report(service, error.REASON or error.code.name)
        except _AnswerUnreadable:
            _report(service, "UNREADABLE")
        except Exception as error:  # whatever garbage makes the client library do is no reason to fail the rider
            # The error's text may quote what is the rider's.
            _report(service, "UNEXPECTED", error=type(error).__name__)
        return None

    def _patience(self) -> float:
        remaining = call_context.remaining()
        return self._timeout() if remaining is None else min(self._timeout(), remaining * _WAIT_SHARE)


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
        raise _AnswerUnreadable
    return listed


def _report(service: str, reason: str, **more: str) -> None:
    PROVIDER_FAILURES.labels(service, reason).inc()
    logger.warning("orders are not told", provider=service, reason=reason, **more)
