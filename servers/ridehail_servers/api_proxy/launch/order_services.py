"""The services that know of riders' orders, as far as launch needs them: none of them fails a launch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import grpc
from prometheus_client import Counter

from ridehail_clients import (
    ActiveOrder,
    ActiveOrders,
    AsyncOrderCoreClient,
    AsyncOrderStateClient,
    JsonObject,
    KnownOrder,
    OrdersStateAndPolicy,
    OrderState,
    RetryPolicy,
    ServiceNotFound,
    TicketSource,
    Upstream,
)
from ridehail_servers.chassis.dependency_calls import CallFailure, ResponseUnreadable, call_dependency
from ridehail_servers.chassis.json_limits import unfit_values
from ridehail_servers.chassis.logs import get_logger

# The service whose orders order_core keeps; of all others order_state knows who does.
_TAXI = "taxi"
_MOST_ORDERS = 100
# A rider who starts the app is not kept waiting for a second attempt: who does not answer now is polled later.
_ONE_ATTEMPT = RetryPolicy(attempts=1)
# The configuration's longest; how long is waited each call says itself.
_LONGEST_S = 10.0

FAILURES = Counter(
    "ridehail_api_proxy_launch_failures",
    "Questions that a neighbour left unanswered, by the service whose orders they were about (all: the whole answer of"
    " order_state) and by the reason.",
    ("neighbour", "orders_of", "reason"),
)

logger = get_logger(__name__)


class OrderServices:
    """Asks order_core and order_state.

    Args:
        order_core: A channel to order_core.
        order_state: A channel to order_state.
        ticket: Makes tickets of this service.
    """

    def __init__(self, *, order_core: grpc.aio.Channel, order_state: grpc.aio.Channel, ticket: TicketSource) -> None:
        self._order_core = AsyncOrderCoreClient(
            order_core, ticket=ticket, retry=_ONE_ATTEMPT, attempt_timeout=_LONGEST_S
        )
        self._order_state = AsyncOrderStateClient(
            order_state, ticket=ticket, retry=_ONE_ATTEMPT, attempt_timeout=_LONGEST_S
        )

    async def orders_of(self, service: str, yandex_uid: str, *, timeout: float) -> Upstream | None:
        """Returns what came of asking one service for a rider's orders; None: there is no such service.

        Args:
            service: The service, as in `eats`.
            yandex_uid: The rider.
            timeout: Seconds.
        """
        answer = await call_dependency(self._active_orders(service, yandex_uid, timeout))
        if not isinstance(answer, CallFailure):
            return Upstream.of(answer)
        if answer.reason == ServiceNotFound.REASON:
            return None
        _report("order-core" if service == _TAXI else "order-state", service, answer)
        return Upstream.of(None)

    async def orders_state(
        self,
        yandex_uid: str,
        *,
        supported_services: Sequence[str],
        known_orders: Sequence[KnownOrder],
        upstreams: Mapping[str, Upstream],
        timeout: float,
    ) -> OrdersStateAndPolicy | CallFailure:
        """Returns what order_state tells of a rider's orders, or why it does not.

        Args:
            yandex_uid: The rider.
            supported_services: The services that the app can show.
            known_orders: The orders that the app knows, each once.
            upstreams: What came of asking services.
            timeout: Seconds.
        """
        answer = await call_dependency(
            self._readable_state(yandex_uid, supported_services, known_orders, upstreams, timeout)
        )
        if isinstance(answer, CallFailure):
            _report("order-state", "all", answer)
        return answer

    async def _active_orders(self, service: str, yandex_uid: str, timeout: float) -> ActiveOrders:
        if service == _TAXI:
            answer = await self._order_core.list_active_orders(yandex_uid=yandex_uid, timeout=timeout)
        else:
            answer = await self._order_state.get_service_orders_state(
                service=service, yandex_uid=yandex_uid, timeout=timeout
            )
        # order_state would refuse all of the rider's orders for what is wrong with one service's.
        if not _can_be_handed_on(answer.orders):
            raise ResponseUnreadable
        return answer

    async def _readable_state(
        self,
        yandex_uid: str,
        supported_services: Sequence[str],
        known_orders: Sequence[KnownOrder],
        upstreams: Mapping[str, Upstream],
        timeout: float,
    ) -> OrdersStateAndPolicy:
        answer = await self._order_state.get_orders_state(
            yandex_uid=yandex_uid,
            supported_services=supported_services,
            known_orders=known_orders,
            upstreams=upstreams,
            timeout=timeout,
        )
        # The client has just read the answer, which may be large.
        await asyncio.sleep(0)
        if not _is_readable(answer.orders):
            raise ResponseUnreadable
        await asyncio.sleep(0)
        return answer


def _can_be_handed_on(orders: Sequence[ActiveOrder]) -> bool:
    names = [one.orderid for one in orders]
    return len(names) <= _MOST_ORDERS and _each_once(names) and all(_can_be_sent(one.details) for one in orders)


def _is_readable(orders: Sequence[OrderState]) -> bool:
    has_names = all(one.service and one.orderid for one in orders)
    keys = [(one.service, one.orderid) for one in orders]
    return has_names and len(set(keys)) == len(keys) and all(_can_be_sent(one.details) for one in orders)


def _can_be_sent(details: JsonObject | None) -> bool:
    return details is None or next(unfit_values("", details), None) is None


def _each_once(names: Sequence[str]) -> bool:
    return all(names) and len(set(names)) == len(names)


def _report(neighbour: str, orders_of: str, unanswered: CallFailure) -> None:
    FAILURES.labels(neighbour, orders_of, unanswered.reason).inc()
    # Of an error that is not foreseen the kind alone: its text may quote what is the rider's.
    unforeseen = {} if unanswered.error is None else {"error": type(unanswered.error).__name__}
    logger.warning(
        "launch is not answered",
        neighbour=neighbour,
        orders_of=orders_of,
        reason=unanswered.reason,
        **unforeseen,
    )
