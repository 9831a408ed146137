"""Requests and answers of toll roads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1.toll_roads_pb2 import OrderRoad as OrderRoadMessage
from ridehail_clients._messages.fields import from_timestamp, to_strings, to_timestamp
from ridehail_clients.errors import OrderNotFound, ServiceError
from ridehail_clients.models import OrderRoad, OrderRoads


def batch_retrieve_orders_request(order_ids: Sequence[str]) -> api.BatchRetrieveOrdersRequest:
    """Builds the request of BatchRetrieveOrders."""
    return api.BatchRetrieveOrdersRequest(order_ids=to_strings("order_ids", order_ids))


def enqueue_order_save_request(
    *,
    order_id: str,
    created: datetime,
    offer_id: str | None,
    can_switch_road: bool,
    user_chose_toll_road: bool,
    yandex_uid: str | None,
) -> api.EnqueueOrderSaveRequest:
    """Builds the request of EnqueueOrderSave."""
    return api.EnqueueOrderSaveRequest(
        order_id=order_id,
        created=to_timestamp("created", created),
        offer_id=offer_id,
        can_switch_road=can_switch_road,
        user_chose_toll_road=user_chose_toll_road,
        yandex_uid=yandex_uid,
    )


def switch_road_request(*, order_id: str, has_toll_road: bool, created: datetime) -> api.SwitchRoadRequest:
    """Builds the request of SwitchRoad."""
    return api.SwitchRoadRequest(
        order_id=order_id, has_toll_road=has_toll_road, created=to_timestamp("created", created)
    )


def order_road(order_id: str, answer: api.RetrieveOrderResponse | OrderRoadMessage) -> OrderRoad:
    """Reads the road of one order."""
    try:
        created = from_timestamp(answer.created) if answer.HasField("created") else None
    except (ValueError, OverflowError) as error:
        message = f"the answer has no readable moment for the order {order_id}"
        raise ServiceError(grpc.StatusCode.INTERNAL, message=message) from error
    return OrderRoad(
        order_id=order_id,
        has_toll_road=answer.has_toll_road,
        can_switch_road=answer.can_switch_road,
        created=created,
    )


def order_roads(answer: api.BatchRetrieveOrdersResponse) -> OrderRoads:
    """Reads the roads of many orders."""
    return OrderRoads(
        orders=tuple(order_road(one.order_id, one) for one in answer.orders),
        missing_order_ids=tuple(answer.missing_order_ids),
    )


def lookup_answers(answer: api.BatchRetrieveOrdersResponse) -> Mapping[str, OrderRoadMessage | OrderNotFound]:
    """Sorts out what a batch tells of each order, by order id. Each road is yet to be read, by `order_road`."""
    missing = {order_id: _order_not_found(order_id) for order_id in answer.missing_order_ids}
    return {**missing, **{one.order_id: one for one in answer.orders}}


def _order_not_found(order_id: str) -> OrderNotFound:
    return OrderNotFound(
        grpc.StatusCode.NOT_FOUND, OrderNotFound.REASON, "no such order", metadata={"order_id": order_id}
    )
