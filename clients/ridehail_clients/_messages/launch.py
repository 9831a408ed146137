"""Requests and answers of launch, whose orders are objects with members of the app's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import grpc
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.struct_pb2 import Struct

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2 as resources
from ridehail_clients._messages import order_state as order_messages
from ridehail_clients._messages.fields import to_strings
from ridehail_clients.errors import ServiceError
from ridehail_clients.json_values import JsonInput, from_struct, to_struct
from ridehail_clients.orders_state import (
    KnownOrder,
    Launch,
    LaunchEulas,
    LaunchKnownOrder,
    LaunchOrder,
    MlutpOrdersState,
)

_MEMBERS_OF_KNOWN: Final = frozenset(resources.KnownOrder.DESCRIPTOR.fields_by_name)
_MEMBERS_OF_ANSWERED: Final = frozenset(resources.OrderState.DESCRIPTOR.fields_by_name)


def launch_request(*, supported_services: Sequence[str], known_orders: Iterable[KnownOrder]) -> api.LaunchRequest:
    """Builds the request of Launch.

    Raises:
        ValueError: A further member of an order has the name of one that the contract knows.
    """
    return api.LaunchRequest(
        supported_services=to_strings("supported_services", supported_services),
        known_orders=[_known_order(one) for one in known_orders],
    )


def launch(answer: api.LaunchResponse) -> Launch:
    """Reads the answer of Launch.

    Raises:
        ServiceError: An order cannot be read.
    """
    return Launch(
        mlutp_orders_state=(
            _orders_state(answer.mlutp_orders_state) if answer.HasField("mlutp_orders_state") else None
        ),
        eulas=LaunchEulas(accepted=tuple(answer.eulas.accepted)) if answer.HasField("eulas") else None,
    )


def _orders_state(message: api.MlutpOrdersState) -> MlutpOrdersState:
    return MlutpOrdersState(
        tags=dict(message.tags),
        orders=tuple(_order(one) for one in message.orders),
        allowed_changes=order_messages.allowed_changes(message.allowed_changes),
        polling_policy=order_messages.polling_policy(message.polling_policy),
    )


def _order(struct: Struct) -> LaunchOrder:
    members = from_struct(struct)
    told = {name: value for name, value in members.items() if name in _MEMBERS_OF_ANSWERED}
    try:
        order = ParseDict(told, resources.OrderState())
    except ParseError as error:
        raise ServiceError(
            grpc.StatusCode.INTERNAL, message=f"the answer has an order that cannot be read: {error}"
        ) from error
    return LaunchOrder(
        orderid=order.orderid,
        service=order.service,
        status=order.status,
        tags=dict(order.tags),
        need_request=tuple(order.need_request),
        update_status=order_messages.update_status(order.update_status),
        details=from_struct(order.details) if order.HasField("details") else None,
        other={name: value for name, value in members.items() if name not in _MEMBERS_OF_ANSWERED},
    )


def _known_order(order: KnownOrder) -> Struct:
    other = order.other if isinstance(order, LaunchKnownOrder) else {}
    if taken := sorted((_MEMBERS_OF_KNOWN | _MEMBERS_OF_ANSWERED) & set(other)):
        raise ValueError(f"a further member of an order must not be named {taken[0]}")
    members: dict[str, JsonInput] = {
        "orderid": order.orderid,
        "service": order.service,
        "status": order.status,
        "tags": order.tags,
        "force": order.force,
    }
    if order.details is not None:
        members["details"] = order.details
    return to_struct({**other, **members})
