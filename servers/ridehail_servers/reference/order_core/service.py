"""The gRPC service of order_core."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.ordercore.v1 import order_core_api_pb2 as api
from ridehail.ordercore.v1 import order_core_api_pb2_grpc as api_grpc
from ridehail_kernel.json_values import from_struct, to_struct

from .codec import active_order_message, info_message, update_from
from .order_documents import OrderDocuments

Context = grpc.aio.ServicerContext[Any, Any]


class OrderCoreServicer(api_grpc.OrderCoreServiceServicer):
    """See ridehail/ordercore/v1/order_core_api.proto."""

    def __init__(self, orders: OrderDocuments) -> None:
        self._orders = orders

    async def PutOrder(self, request: api.PutOrderRequest, context: Context) -> api.PutOrderResponse:
        version = await self._orders.put(
            order_id=request.order_id, yandex_uid=request.yandex_uid, document=from_struct(request.document)
        )
        return api.PutOrderResponse(version=version)

    async def GetOrderFields(self, request: api.GetOrderFieldsRequest, context: Context) -> api.GetOrderFieldsResponse:
        found = await self._orders.get_fields(request.order_id, request.fields)
        return api.GetOrderFieldsResponse(fields=to_struct(found.fields), version=found.version)

    async def SetOrderFields(self, request: api.SetOrderFieldsRequest, context: Context) -> api.SetOrderFieldsResponse:
        expected_version = request.expected_version if request.HasField("expected_version") else None
        version = await self._orders.set_fields(
            request.order_id, update_from(request), expected_version=expected_version
        )
        return api.SetOrderFieldsResponse(version=version)

    async def GetOrderInfo(self, request: api.GetOrderInfoRequest, context: Context) -> api.GetOrderInfoResponse:
        return info_message(await self._orders.get_info(request.order_id))

    async def BatchGetOrderInfo(
        self, request: api.BatchGetOrderInfoRequest, context: Context
    ) -> api.BatchGetOrderInfoResponse:
        infos = await self._orders.get_infos(request.order_ids)
        return api.BatchGetOrderInfoResponse(orders=map(info_message, infos.orders), missing_order_ids=infos.missing)

    async def ListActiveOrders(
        self, request: api.ListActiveOrdersRequest, context: Context
    ) -> api.ListActiveOrdersResponse:
        orders = await self._orders.list_active(request.yandex_uid)
        return api.ListActiveOrdersResponse(orders=map(active_order_message, orders))
