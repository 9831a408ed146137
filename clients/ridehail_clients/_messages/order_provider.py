"""Requests and answers of the services that keep orders."""

from __future__ import annotations

from collections.abc import Mapping

from ridehail.ordercore.v1 import order_core_api_pb2 as core_api
from ridehail.orderprovider.v1 import order_provider_api_pb2 as api
from ridehail.orderprovider.v1.order_provider_pb2 import ActiveOrder as ActiveOrderMessage
from ridehail.orderstate.v1 import order_state_api_pb2 as state_api
from ridehail_clients.json_values import JsonInput, from_struct, to_struct
from ridehail_clients.models import ActiveOrder, ActiveOrders


def put_order_request(
    *,
    orderid: str,
    yandex_uid: str,
    status: str,
    parts: Mapping[str, str],
    details: Mapping[str, JsonInput],
    finished: bool,
) -> api.PutOrderRequest:
    """Builds the request of PutOrder."""
    return api.PutOrderRequest(
        orderid=orderid,
        yandex_uid=yandex_uid,
        status=status,
        parts=parts,
        details=to_struct(details) if details else None,
        finished=finished,
    )


def active_orders(
    answer: api.ListActiveOrdersResponse | core_api.ListActiveOrdersResponse | state_api.GetServiceOrdersStateResponse,
) -> ActiveOrders:
    """Reads the answer of ListActiveOrders, which order core and order state give in the same form."""
    return ActiveOrders(
        orders=tuple(_active_order(one) for one in answer.orders),
        can_make_more_orders=answer.can_make_more_orders if answer.HasField("can_make_more_orders") else None,
        no_more_orders_reason=answer.no_more_orders_reason if answer.HasField("no_more_orders_reason") else None,
    )


def _active_order(message: ActiveOrderMessage) -> ActiveOrder:
    return ActiveOrder(
        orderid=message.orderid,
        status=message.status,
        parts=dict(message.parts),
        details=from_struct(message.details),
        sequence=message.sequence,
    )
