"""The gRPC services of order_state."""

from __future__ import annotations

from typing import Any

import grpc
from prometheus_client import Counter

from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_api_pb2_grpc as api_grpc
from ridehail_servers.chassis.passenger import current_passenger

from . import codec
from .order_records import OrderRecords
from .polling import Polling

POLLS = Counter(
    "ridehail_order_state_polls",
    "Polls of apps, by kind: plain (queries no provider) or tagged (the app sent poll tokens).",
    ("kind",),
)

Context = grpc.aio.ServicerContext[Any, Any]


class PassengerOrderStateServicer(api_grpc.PassengerOrderStateServiceServicer):
    """See ridehail/orderstate/v1/order_state_api.proto."""

    def __init__(self, polling: Polling) -> None:
        self._polling = polling

    async def PollOrdersState(
        self, request: api.PollOrdersStateRequest, context: Context
    ) -> api.PollOrdersStateResponse:
        POLLS.labels("tagged" if request.tags else "plain").inc()
        yandex_uid = current_passenger().yandex_uid
        state = await self._polling.poll(yandex_uid, codec.known_orders(request.known_orders), request.tags)
        return codec.poll_response(state)


class OrderStateServicer(api_grpc.OrderStateServiceServicer):
    """See ridehail/orderstate/v1/order_state_api.proto."""

    def __init__(self, polling: Polling, records: OrderRecords) -> None:
        self._polling = polling
        self._records = records

    async def GetOrdersState(self, request: api.GetOrdersStateRequest, context: Context) -> api.GetOrdersStateResponse:
        state = await self._polling.start(
            request.yandex_uid,
            codec.known_orders(request.known_orders),
            supported_services=request.supported_services,
            upstreams=codec.upstream_results(request.upstreams),
        )
        return codec.start_response(state)

    async def GetServiceOrdersState(
        self, request: api.GetServiceOrdersStateRequest, context: Context
    ) -> api.GetServiceOrdersStateResponse:
        orders = await self._polling.active_orders(request.service, request.yandex_uid)
        return codec.service_orders_response(orders)

    async def ReportOrderParts(
        self, request: api.ReportOrderPartsRequest, context: Context
    ) -> api.ReportOrderPartsResponse:
        return api.ReportOrderPartsResponse(changed=await self._records.record_report(codec.report(request)))
