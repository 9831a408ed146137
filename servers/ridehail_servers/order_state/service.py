"""The gRPC services of order_state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from ridehail.orderprovider.v1 import order_provider_pb2 as provider_pb2
from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_api_pb2_grpc as api_grpc
from ridehail.orderstate.v1 import order_state_pb2
from ridehail_servers.chassis.passenger import current_passenger

from .allowed_changes import AllowedChanges
from .metrics import POLLS
from .orders import ActiveOrder, KnownOrder, OrderKey, OrderState, ProviderAnswer
from .polling import Polling
from .polling_policy import PartPolicy
from .report import Report
from .reports import Reports

Context = grpc.aio.ServicerContext[Any, Any]


class PassengerOrderStateServicer(api_grpc.PassengerOrderStateServiceServicer):
    """See ridehail/orderstate/v1/order_state_api.proto."""

    def __init__(self, polling: Polling) -> None:
        """Takes the domain.

        Args:
            polling: Answers apps.
        """
        self._polling = polling

    async def PollOrdersState(
        self, request: api.PollOrdersStateRequest, context: Context
    ) -> api.PollOrdersStateResponse:
        """See the contract."""
        POLLS.labels("tagged" if request.tags else "plain").inc()
        uid = current_passenger().yandex_uid
        answered = await self._polling.poll(uid, _known(request.known_orders), request.tags)
        return api.PollOrdersStateResponse(
            orders=map(_state, answered.answer.orders),
            allowed_changes=map(_changes, answered.answer.allowed_changes),
            tags=answered.tags,
        )


class OrderStateServicer(api_grpc.OrderStateServiceServicer):
    """See ridehail/orderstate/v1/order_state_api.proto."""

    def __init__(self, polling: Polling, reports: Reports) -> None:
        """Takes the domain.

        Args:
            polling: Answers apps.
            reports: Takes services' reports.
        """
        self._polling = polling
        self._reports = reports

    async def GetOrdersState(self, request: api.GetOrdersStateRequest, context: Context) -> api.GetOrdersStateResponse:
        """See the contract."""
        answered = await self._polling.start(
            request.yandex_uid,
            _known(request.known_orders),
            supported_services=request.supported_services,
            upstreams=_upstreams(request.upstreams),
        )
        return api.GetOrdersStateResponse(
            orders=map(_state, answered.answer.orders),
            allowed_changes=map(_changes, answered.answer.allowed_changes),
            tags=answered.tags,
            polling_policy=map(_policy, answered.polling_policy),
        )

    async def GetServiceOrdersState(
        self, request: api.GetServiceOrdersStateRequest, context: Context
    ) -> api.GetServiceOrdersStateResponse:
        """See the contract."""
        answer = await self._polling.listed(request.service, request.yandex_uid)
        return api.GetServiceOrdersStateResponse(
            orders=map(_active, answer.orders),
            can_make_more_orders=answer.can_make_more_orders,
            no_more_orders_reason=answer.no_more_orders_reason,
        )

    async def ReportOrderParts(
        self, request: api.ReportOrderPartsRequest, context: Context
    ) -> api.ReportOrderPartsResponse:
        """See the contract."""
        report = Report(
            key=OrderKey(request.service, request.orderid),
            yandex_uid=request.yandex_uid,
            sequence=request.sequence,
            parts=request.parts,
            finished=request.finished if request.HasField("finished") else None,
        )
        return api.ReportOrderPartsResponse(changed=await self._reports.take(report))


def _known(orders: Iterable[order_state_pb2.KnownOrder]) -> list[KnownOrder]:
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


def _upstreams(upstreams: Mapping[str, order_state_pb2.Upstream]) -> dict[str, ProviderAnswer | None]:
    return {service: _told(upstream) if upstream.ok else None for service, upstream in upstreams.items()}


def _told(upstream: order_state_pb2.Upstream) -> ProviderAnswer:
    return ProviderAnswer(
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


def _state(state: OrderState) -> order_state_pb2.OrderState:
    return order_state_pb2.OrderState(
        orderid=state.key.orderid,
        service=state.key.service,
        status=state.status,
        tags=state.tags,
        need_request=state.need_request,
        update_status=state.update_status,
        details=state.details,
    )


def _active(order: ActiveOrder) -> provider_pb2.ActiveOrder:
    return provider_pb2.ActiveOrder(
        orderid=order.orderid,
        status=order.status,
        parts=order.parts,
        sequence=order.sequence,
        details=order.details,
    )


def _changes(changes: AllowedChanges) -> order_state_pb2.AllowedChanges:
    return order_state_pb2.AllowedChanges(
        service=changes.service,
        can_make_more_orders=changes.can_make_more_orders,
        no_more_orders_reason=changes.no_more_orders_reason,
    )


def _policy(part: PartPolicy) -> order_state_pb2.PollingPolicy:
    return order_state_pb2.PollingPolicy(
        service=part.service,
        part_name=part.part_name,
        url=part.url,
        fields=part.fields,
        polling_type=part.polling_type,
        part_type=part.part_type,
        priority=part.priority,
        required=part.required,
    )
