"""Calls of launch to order_core and order_state; none of them fails a launch."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection
from typing import Final, TypeAlias

import grpc

from ridehail.ordercore.v1 import order_core_api_pb2, order_core_api_pb2_grpc
from ridehail.orderstate.v1 import order_state_api_pb2, order_state_api_pb2_grpc
from ridehail.orderstate.v1.order_state_api_pb2 import GetOrdersStateRequest, GetOrdersStateResponse
from ridehail.orderstate.v1.order_state_pb2 import Upstream
from ridehail_clients import AsyncOrderCoreClient, AsyncOrderStateClient, RetryPolicy, ServiceNotFound, TicketSource
from ridehail_servers.chassis.dependency_calls import CallFailure, ResponseUnreadable, call_dependency
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.request_limits import RequestLimits, check_values

from .metrics import FAILURES

ActiveOrders: TypeAlias = (
    order_core_api_pb2.ListActiveOrdersResponse | order_state_api_pb2.GetServiceOrdersStateResponse
)

# The service whose orders order_core keeps; of all others order_state knows who does.
_TAXI: Final = "taxi"
_MAX_ORDERS: Final = 100
_UPDATE_STATUSES: Final = frozenset({"actual", "stale"})
# A rider who starts the app does not wait for a second attempt: the app polls later who does not respond now.
_ONE_ATTEMPT: Final = RetryPolicy(attempts=1)
# The configuration's longest; each call has its own timeout.
_MAX_TIMEOUT_S: Final = 10.0
# How large a response may be is gRPC's to judge.
_ANY_SIZE: Final = RequestLimits(max_values=sys.maxsize)

logger = get_logger(__name__)


class OrderServices:
    """Calls order_core and order_state."""

    def __init__(self, *, order_core: grpc.aio.Channel, order_state: grpc.aio.Channel, ticket: TicketSource) -> None:
        self._core = AsyncOrderCoreClient(order_core, ticket=ticket, retry=_ONE_ATTEMPT, attempt_timeout=_MAX_TIMEOUT_S)
        self._state = AsyncOrderStateClient(
            order_state, ticket=ticket, retry=_ONE_ATTEMPT, attempt_timeout=_MAX_TIMEOUT_S
        )
        self._core_methods = order_core_api_pb2_grpc.OrderCoreServiceStub(order_core)
        self._state_methods = order_state_api_pb2_grpc.OrderStateServiceStub(order_state)

    async def list_active_orders(self, service: str, yandex_uid: str, *, timeout: float) -> Upstream | None:
        """Returns what asking one service for a rider's orders came to, or None if there is no such service.

        Args:
            service: As in `eats`.
            yandex_uid: The rider.
            timeout: Seconds.
        """
        response = await call_dependency(self._list_active_orders(service, yandex_uid, timeout))
        if not isinstance(response, CallFailure):
            return response
        if response.reason == ServiceNotFound.REASON:
            return None
        _report("order-core" if service == _TAXI else "order-state", service, response)
        return Upstream(ok=False)

    async def get_orders_state(
        self, request: GetOrdersStateRequest, *, timeout: float
    ) -> GetOrdersStateResponse | CallFailure:
        """Returns order_state's view of a rider's orders, or why the call failed; `timeout` is in seconds."""
        response = await call_dependency(self._get_orders_state(request, timeout))
        if isinstance(response, CallFailure):
            _report("order-state", "all", response)
        return response

    async def _list_active_orders(self, service: str, yandex_uid: str, timeout: float) -> Upstream:
        response: ActiveOrders
        if service == _TAXI:
            response = await self._core.call(
                self._core_methods.ListActiveOrders,
                order_core_api_pb2.ListActiveOrdersRequest(yandex_uid=yandex_uid),
                timeout=timeout,
            )
        else:
            response = await self._state.call(
                self._state_methods.GetServiceOrdersState,
                order_state_api_pb2.GetServiceOrdersStateRequest(service=service, yandex_uid=yandex_uid),
                timeout=timeout,
            )
        # order_state would refuse all of the rider's orders for what is wrong with one service's.
        names = [order.orderid for order in response.orders]
        _require(len(names) <= _MAX_ORDERS and _is_each_once(names))
        await _require_json(response)
        upstream = Upstream(ok=True, orders=response.orders)
        for order in upstream.orders:
            # Empty details mean none; order_state would pass them on to the app.
            if not order.details.fields:
                order.ClearField("details")
        if response.HasField("can_make_more_orders"):
            upstream.can_make_more_orders = response.can_make_more_orders
        if response.HasField("no_more_orders_reason"):
            upstream.no_more_orders_reason = response.no_more_orders_reason
        return upstream

    async def _get_orders_state(self, request: GetOrdersStateRequest, timeout: float) -> GetOrdersStateResponse:
        response = await self._state.call(self._state_methods.GetOrdersState, request, timeout=timeout)
        orders = response.orders
        _require(all(order.service and order.update_status in _UPDATE_STATUSES for order in orders))
        _require(all(order.orderid for order in orders))
        _require(len({(order.service, order.orderid) for order in orders}) == len(orders))
        await _require_json(response)
        return response


def _is_each_once(names: Collection[str]) -> bool:
    return all(names) and len(set(names)) == len(names)


def _require(holds: bool) -> None:  # noqa: FBT001  # reads like an assertion
    if not holds:
        raise ResponseUnreadable


async def _require_json(response: ActiveOrders | GetOrdersStateResponse) -> None:
    """Requires that all JSON in a response can be passed on; other calls run in between."""
    steps = check_values(response, _ANY_SIZE)
    while True:
        await asyncio.sleep(0)
        try:
            next(steps)
        except StopIteration as end:
            return _require(not end.value)


def _report(neighbour: str, orders_of: str, failure: CallFailure) -> None:
    FAILURES.labels(neighbour, orders_of, failure.reason).inc()
    # Of an unexpected error only its type: the text may quote what is the rider's.
    unexpected = {} if failure.error is None else {"error": type(failure.error).__name__}
    logger.warning(
        "launch is not answered", neighbour=neighbour, orders_of=orders_of, reason=failure.reason, **unexpected
    )
