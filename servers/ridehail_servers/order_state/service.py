"""The gRPC services of order_state."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import grpc
from prometheus_client import Counter

from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_api_pb2_grpc as api_grpc
from ridehail_servers.chassis.caller import current_caller
from ridehail_servers.chassis.passenger import current_passenger

from . import codec
from .config import OrderStateConfig
from .invalid_part_records import InvalidPartRecords
from .order_records import OrderRecords
from .polling import Polling
from .reporters import check_reporter

POLLS = Counter(
    "ridehail_order_state_polls",
    "Polls of apps, by kind: plain (queries no provider) or tagged (the app sent poll tokens).",
    ("kind",),
)

# The lookup by labels costs ten times what the count does.
_polls_of = cache(POLLS.labels)

Context = grpc.aio.ServicerContext[Any, Any]


class PassengerOrderStateServicer(api_grpc.PassengerOrderStateServiceServicer):
    """See ridehail/orderstate/v1/order_state_api.proto."""

    def __init__(self, polling: Polling, invalid_parts: InvalidPartRecords) -> None:
        self._polling = polling
        self._invalid_parts = invalid_parts

    async def PollOrdersState(
        self, request: api.PollOrdersStateRequest, context: Context
    ) -> api.PollOrdersStateResponse:
        _polls_of("tagged" if request.tags else "plain").inc()
        yandex_uid = current_passenger().yandex_uid
        state = await self._polling.poll(yandex_uid, codec.known_orders(request.known_orders), request.tags)
        return codec.poll_response(state)

    async def ReportInvalidParts(
        self, request: api.ReportInvalidPartsRequest, context: Context
    ) -> api.ReportInvalidPartsResponse:
        receipt = await self._invalid_parts.record(current_passenger().yandex_uid, codec.invalid_parts(request.parts))
        return api.ReportInvalidPartsResponse(recorded=receipt.recorded, next_report_ms=receipt.next_report_ms)


class OrderStateServicer(api_grpc.OrderStateServiceServicer):
    """See ridehail/orderstate/v1/order_state_api.proto."""

    def __init__(self, polling: Polling, records: OrderRecords, config: Callable[[], OrderStateConfig]) -> None:
        self._polling = polling
        self._records = records
        self._config = config

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
        config = self._config()
        check_reporter(current_caller(), request.service, config.reporters, config.foreign_reports)
        return api.ReportOrderPartsResponse(changed=await self._records.record_report(codec.report(request)))
