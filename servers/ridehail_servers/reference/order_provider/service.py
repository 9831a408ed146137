"""The gRPC service of order_provider."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.orderprovider.v1 import order_provider_api_pb2 as api
from ridehail.orderprovider.v1 import order_provider_api_pb2_grpc as api_grpc
from ridehail.orderprovider.v1 import order_provider_pb2
from ridehail_kernel.json_values import from_struct, to_struct

from .order_details import ActiveOrder, Order
from .provider_orders import ProviderOrders

Context = grpc.aio.ServicerContext[Any, Any]


class OrderProviderServicer(api_grpc.OrderProviderServiceServicer):
    """See ridehail/orderprovider/v1/order_provider_api.proto."""

    def __init__(self, orders: ProviderOrders) -> None:
        self._orders = orders

    async def PutOrder(self, request: api.PutOrderRequest, context: Context) -> api.PutOrderResponse:
        order = Order(
            orderid=request.orderid,
            yandex_uid=request.yandex_uid,
            status=request.status,
            parts=dict(request.parts),
            details=from_struct(request.details),
            finished=request.finished,
        )
        return api.PutOrderResponse(sequence=await self._orders.put(order))

    async def ListActiveOrders(
        self, request: api.ListActiveOrdersRequest, context: Context
    ) -> api.ListActiveOrdersResponse:
        orders = await self._orders.list_active(request.yandex_uid)
        return api.ListActiveOrdersResponse(orders=map(_message, orders))


def _message(order: ActiveOrder) -> order_provider_pb2.ActiveOrder:
    return order_provider_pb2.ActiveOrder(
        orderid=order.orderid,
        status=order.status,
        parts=order.parts,
        details=None if order.details is None else to_struct(order.details),
        sequence=order.sequence,
    )
