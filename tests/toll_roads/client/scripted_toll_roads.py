"""A toll-roads service of a few orders, for the scripted server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import grpc
from google.protobuf.message import Message

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import OrderRoad
from tests.clients.scripted_server import Behaviour, ScriptedServer, fail, info, violation

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def numbered(number: int) -> OrderRoad:
    """The road of the order of this number: no two are alike."""
    return OrderRoad(f"order-{number}", number % 2 == 0, number % 3 == 0, NOON + timedelta(seconds=number))


def roads_of(orders: Iterable[OrderRoad]) -> Behaviour:
    """Responds to single calls and batches for these orders as the service does; refuses ids that begin with `bad`."""
    roads = {one.order_id: one for one in orders}

    def single(request: api.RetrieveOrderRequest, context: grpc.ServicerContext) -> Message:
        if request.order_id.startswith("bad"):
            _refuse(context, "order_id")
        if request.order_id not in roads:
            _end(context, grpc.StatusCode.NOT_FOUND, info("ORDER_NOT_FOUND", order_id=request.order_id))
        found = message_of(roads[request.order_id])
        return api.RetrieveOrderResponse(
            has_toll_road=found.has_toll_road,
            can_switch_road=found.can_switch_road,
            created=found.created if found.HasField("created") else None,
        )

    def batch(request: api.BatchRetrieveOrdersRequest, context: grpc.ServicerContext) -> Message:
        for position, order_id in enumerate(request.order_ids):
            if order_id.startswith("bad"):
                _refuse(context, f"order_ids[{position}]")
        return api.BatchRetrieveOrdersResponse(
            orders=[message_of(roads[order_id]) for order_id in request.order_ids if order_id in roads],
            missing_order_ids=[order_id for order_id in request.order_ids if order_id not in roads],
        )

    def behave(request: Any, context: grpc.ServicerContext) -> Message:
        return single(request, context) if isinstance(request, api.RetrieveOrderRequest) else batch(request, context)

    return behave


def message_of(road: OrderRoad) -> Any:  # the generated class of an element has no short name
    """The road as the wire has it."""
    message = api.BatchRetrieveOrdersResponse().orders.add(
        order_id=road.order_id, has_toll_road=road.has_toll_road, can_switch_road=road.can_switch_road
    )
    if road.created is not None:
        message.created.FromDatetime(road.created)
    return message


def batches(server: ScriptedServer) -> list[list[str]]:
    """The ids of each batch that the server received."""
    return [
        list(cast("api.BatchRetrieveOrdersRequest", one.request).order_ids)
        for one in server.received
        if one.rpc == "BatchRetrieveOrders"
    ]


def single_requests(server: ScriptedServer) -> list[str]:
    """The ids of the single calls that the server received."""
    return [
        cast("api.RetrieveOrderRequest", one.request).order_id for one in server.received if one.rpc == "RetrieveOrder"
    ]


def _refuse(context: grpc.ServicerContext, field: str) -> None:
    broken = violation(field, "must be 1 to 128 printable characters", "string.id")
    _end(context, grpc.StatusCode.INVALID_ARGUMENT, info("INVALID_REQUEST"), broken)


def _end(context: grpc.ServicerContext, code: grpc.StatusCode, *details: Message) -> None:
    fail(code, *details, message="no such order")(context)
