"""Converts between the messages of order_state's contract and the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ridehail.orderprovider.v1 import order_provider_pb2 as provider_pb2
from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2

from .invalid_parts import ReportedPart
from .orders import ActiveOrder, ActiveOrders, KnownOrder, OrderKey
from .orders_state import OrdersState
from .report import OrderReport


def known_orders(orders: Iterable[order_state_pb2.KnownOrder]) -> list[KnownOrder]:
    return [
        KnownOrder(
            order.service,
            order.orderid,
            order.status,
            order.tags,
            order.force,
            order.details if order.HasField("details") else None,
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


def invalid_parts(parts: Iterable[order_state_pb2.InvalidPart]) -> list[ReportedPart]:
    return [
        ReportedPart(
            part.service, part.part_name, part.problem, part.count, [(entry.path, entry.type) for entry in part.shape]
        )
        for part in parts
    ]


def poll_response(state: OrdersState) -> api.PollOrdersStateResponse:
    response = api.PollOrdersStateResponse(tags=state.poll_tokens)
    _add_orders(response, state)
    return response


def start_response(state: OrdersState) -> api.GetOrdersStateResponse:
    policy = (order_state_pb2.PollingPolicy(**vars(part)) for part in state.polling_policy)
    response = api.GetOrdersStateResponse(tags=state.poll_tokens, polling_policy=policy)
    _add_orders(response, state)
    return response


def _add_orders(response: api.PollOrdersStateResponse | api.GetOrdersStateResponse, state: OrdersState) -> None:
    """Fills a response in place: protobuf copies messages that are assigned by encoding and decoding them."""
    for service, orderid, status, tags, need_request, update_status, details in state.orders:
        added = response.orders.add(
            orderid=orderid,
            service=service,
            status=status,
            need_request=need_request,
            update_status=update_status,
            details=details,
        )
        # One by one: both `update` and a keyword take twice as long.
        added_tags = added.tags
        for part, version in tags.items():
            added_tags[part] = version
    for service, can_make_more_orders, no_more_orders_reason in state.allowed_changes:
        response.allowed_changes.add(
            service=service, can_make_more_orders=can_make_more_orders, no_more_orders_reason=no_more_orders_reason
        )
    if state.schedule is not None:
        schedule = response.polling_schedule
        schedule.interval_ms, schedule.next_poll_ms, schedule.longest_pause_ms = state.schedule


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
