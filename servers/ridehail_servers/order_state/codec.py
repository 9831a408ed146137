"""Converts between the messages of order_state's contract and the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ridehail.orderprovider.v1 import order_provider_pb2 as provider_pb2
from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2

from .orders import ActiveOrder, ActiveOrders, KnownOrder, OrderKey, OrderState
from .orders_state import AllowedChanges, OrdersState
from .report import OrderReport


def known_orders(orders: Iterable[order_state_pb2.KnownOrder]) -> list[KnownOrder]:
    return [
        KnownOrder(
            key=OrderKey(order.service, order.orderid),
            status=order.status,
            tags=order.tags,
            force=order.force,
            details=order.details if order.HasField("details") else None,
        )
        for order in orders
    ]


def upstream_results(upstreams: Mapping[str, order_state_pb2.Upstream]) -> dict[str, ActiveOrders | None]:
    return {service: _active_orders(upstream) if upstream.ok else None for service, upstream in upstreams.items()}


def _active_orders(upstream: order_state_pb2.Upstream) -> ActiveOrders:
    return ActiveOrders(
        orders=[
            ActiveOrder(
                orderid=order.orderid,
                status=order.status,
                parts=order.parts,
                sequence=order.sequence,
                details=order.details if order.HasField("details") else None,
            )
            for order in upstream.orders
        ],
        can_make_more_orders=upstream.can_make_more_orders if upstream.HasField("can_make_more_orders") else None,
        no_more_orders_reason=upstream.no_more_orders_reason if upstream.HasField("no_more_orders_reason") else None,
    )


def report(request: api.ReportOrderPartsRequest) -> OrderReport:
    return OrderReport(
        key=OrderKey(request.service, request.orderid),
        yandex_uid=request.yandex_uid,
        sequence=request.sequence,
        parts=request.parts,
        finished=request.finished if request.HasField("finished") else None,
    )


def poll_response(state: OrdersState) -> api.PollOrdersStateResponse:
    return api.PollOrdersStateResponse(**_state_fields(state))


def start_response(state: OrdersState) -> api.GetOrdersStateResponse:
    policy = (order_state_pb2.PollingPolicy(**vars(part)) for part in state.polling_policy)
    return api.GetOrdersStateResponse(**_state_fields(state), polling_policy=policy)


def _state_fields(state: OrdersState) -> dict[str, Any]:  # fields of two messages
    return {
        "orders": map(_order_state, state.orders),
        "allowed_changes": map(_allowed_changes, state.allowed_changes),
        "tags": state.poll_tokens,
    }


def _order_state(state: OrderState) -> order_state_pb2.OrderState:
    return order_state_pb2.OrderState(
        orderid=state.key.orderid,
        service=state.key.service,
        status=state.status,
        tags=state.tags,
        need_request=state.need_request,
        update_status=state.update_status,
        details=state.details,
    )


def _allowed_changes(changes: AllowedChanges) -> order_state_pb2.AllowedChanges:
    return order_state_pb2.AllowedChanges(
        service=changes.service,
        can_make_more_orders=changes.can_make_more_orders,
        no_more_orders_reason=changes.no_more_orders_reason,
    )


def service_orders_response(orders: ActiveOrders) -> api.GetServiceOrdersStateResponse:
    return api.GetServiceOrdersStateResponse(
        orders=map(_active_order, orders.orders),
        can_make_more_orders=orders.can_make_more_orders,
        no_more_orders_reason=orders.no_more_orders_reason,
    )


def _active_order(order: ActiveOrder) -> provider_pb2.ActiveOrder:
    return provider_pb2.ActiveOrder(
        orderid=order.orderid, status=order.status, parts=order.parts, sequence=order.sequence, details=order.details
    )
