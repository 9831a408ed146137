"""Converts order core's messages to and from domain values."""

from __future__ import annotations

from ridehail.ordercore.v1 import order_core_api_pb2 as api
from ridehail.orderprovider.v1 import order_provider_pb2
from ridehail_kernel.json_values import from_value, to_struct

from .order_documents import ActiveOrder
from .store import OrderInfo
from .update import Update


def update_from(request: api.SetOrderFieldsRequest) -> Update:
    """Returns the update that a valid request holds."""
    return Update(
        set={path: from_value(value) for path, value in request.set.items()},
        unset=tuple(request.unset),
        push={path: [from_value(element) for element in array.values] for path, array in request.push.items()},
        increment=dict(request.increment),
        call_processing=request.call_processing,
    )


def info_message(info: OrderInfo) -> api.GetOrderInfoResponse:
    return api.GetOrderInfoResponse(
        order_id=info.order_id, yandex_uid=info.yandex_uid, status=info.status, sharing_key=info.sharing_key
    )


def active_order_message(order: ActiveOrder) -> order_provider_pb2.ActiveOrder:
    return order_provider_pb2.ActiveOrder(
        orderid=order.order_id,
        status=order.status,
        parts=order.parts,
        details=None if order.details is None else to_struct(order.details),
        sequence=order.sequence,
    )
