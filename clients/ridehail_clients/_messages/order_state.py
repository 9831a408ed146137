"""Requests and answers of order state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import grpc

from ridehail.orderprovider.v1.order_provider_pb2 import ActiveOrder as ActiveOrderMessage
from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2 as resources
from ridehail_clients._messages.fields import to_strings
from ridehail_clients.errors import ServiceError
from ridehail_clients.json_values import from_struct, to_struct
from ridehail_clients.models import ActiveOrder
from ridehail_clients.orders_state import (
    AllowedChanges,
    KnownOrder,
    OrdersState,
    OrdersStateAndPolicy,
    OrderState,
    PollingPolicy,
    UpdateStatus,
    Upstream,
)


def poll_orders_state_request(
    *, known_orders: Iterable[KnownOrder], tags: Mapping[str, str]
) -> api.PollOrdersStateRequest:
    """Builds the request of PollOrdersState."""
    return api.PollOrdersStateRequest(known_orders=[_known_order(one) for one in known_orders], tags=tags)


def get_orders_state_request(
    *,
    yandex_uid: str,
    supported_services: Sequence[str],
    known_orders: Iterable[KnownOrder],
    upstreams: Mapping[str, Upstream],
) -> api.GetOrdersStateRequest:
    """Builds the request of GetOrdersState."""
    return api.GetOrdersStateRequest(
        yandex_uid=yandex_uid,
        supported_services=to_strings("supported_services", supported_services),
        known_orders=[_known_order(one) for one in known_orders],
        upstreams={service: _upstream(one) for service, one in upstreams.items()},
    )


def report_order_parts_request(
    *,
    service: str,
    orderid: str,
    yandex_uid: str,
    sequence: int,
    parts: Mapping[str, str],
    finished: bool | None,
) -> api.ReportOrderPartsRequest:
    """Builds the request of ReportOrderParts."""
    return api.ReportOrderPartsRequest(
        service=service, orderid=orderid, yandex_uid=yandex_uid, sequence=sequence, parts=parts, finished=finished
    )


def orders_state(answer: api.PollOrdersStateResponse) -> OrdersState:
    """Reads the answer of PollOrdersState.

    Raises:
        ServiceError: An `update_status` is none of the contract's.
    """
    return OrdersState(
        orders=tuple(_order(one) for one in answer.orders),
        allowed_changes=allowed_changes(answer.allowed_changes),
        tags=dict(answer.tags),
    )


def orders_state_and_policy(answer: api.GetOrdersStateResponse) -> OrdersStateAndPolicy:
    """Reads the answer of GetOrdersState.

    Raises:
        ServiceError: An `update_status` is none of the contract's.
    """
    return OrdersStateAndPolicy(
        orders=tuple(_order(one) for one in answer.orders),
        allowed_changes=allowed_changes(answer.allowed_changes),
        tags=dict(answer.tags),
        polling_policy=polling_policy(answer.polling_policy),
    )


def allowed_changes(messages: Iterable[resources.AllowedChanges]) -> tuple[AllowedChanges, ...]:
    """Reads which orders may be added."""
    return tuple(
        AllowedChanges(
            service=one.service,
            can_make_more_orders=one.can_make_more_orders,
            no_more_orders_reason=one.no_more_orders_reason if one.HasField("no_more_orders_reason") else None,
        )
        for one in messages
    )


def polling_policy(messages: Iterable[resources.PollingPolicy]) -> tuple[PollingPolicy, ...]:
    """Reads how parts are polled."""
    return tuple(
        PollingPolicy(
            service=one.service,
            part_name=one.part_name,
            url=one.url,
            fields=tuple(one.fields),
            polling_type=one.polling_type,
            part_type=one.part_type,
            priority=one.priority,
            required=one.required if one.HasField("required") else None,
        )
        for one in messages
    )


def update_status(status: str) -> UpdateStatus:
    """Reads how far what is told of an order can be trusted.

    Raises:
        ServiceError: It is none of the contract's words.
    """
    try:
        return UpdateStatus(status)
    except ValueError as error:
        raise ServiceError(
            grpc.StatusCode.INTERNAL, message=f"the answer has a status that the contract does not know: {status!r}"
        ) from error


def _order(message: resources.OrderState) -> OrderState:
    return OrderState(
        orderid=message.orderid,
        service=message.service,
        status=message.status,
        tags=dict(message.tags),
        need_request=tuple(message.need_request),
        update_status=update_status(message.update_status),
        details=from_struct(message.details) if message.HasField("details") else None,
    )


def _known_order(order: KnownOrder) -> resources.KnownOrder:
    return resources.KnownOrder(
        orderid=order.orderid,
        service=order.service,
        status=order.status,
        tags=order.tags,
        force=order.force,
        details=None if order.details is None else to_struct(order.details),
    )


def _upstream(upstream: Upstream) -> resources.Upstream:
    return resources.Upstream(
        ok=upstream.ok,
        orders=[_active_order(one) for one in upstream.orders],
        can_make_more_orders=upstream.can_make_more_orders,
        no_more_orders_reason=upstream.no_more_orders_reason,
    )


def _active_order(order: ActiveOrder) -> ActiveOrderMessage:
    return ActiveOrderMessage(
        orderid=order.orderid,
        status=order.status,
        parts=order.parts,
        details=to_struct(order.details) if order.details else None,
        sequence=order.sequence,
    )
