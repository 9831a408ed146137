"""Requests and answers about the card of a ride under way."""

from __future__ import annotations

import grpc
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.struct_pb2 import Value

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.inapp.v1.inapp_pb2 import Promo as PromoMessage
from ridehail_clients._messages import inapp as inapp_messages
from ridehail_clients.card_models import CardRoad, Promo, RideCard, RoadStatus, UserActions
from ridehail_clients.errors import ServiceError
from ridehail_clients.json_values import from_struct


def taxi_on_the_way_request(*, order_id: str, user_actions: UserActions | None) -> api.TaxiOnTheWayRequest:
    """Builds the request of TaxiOnTheWay."""
    if user_actions is None:
        return api.TaxiOnTheWayRequest(order_id=order_id)
    moved = inapp_messages.toggle(user_actions.share_ride_with_family)
    return api.TaxiOnTheWayRequest(order_id=order_id, user_actions=api.UserActions(share_ride_with_family=moved))


def ride_card(answer: api.TaxiOnTheWayResponse) -> RideCard:
    """Reads the answer of TaxiOnTheWay.

    Raises:
        ServiceError: An element of `promos` is no banner, or what is known of the road is nothing of the contract.
    """
    road = None
    if answer.HasField("toll_road"):
        road = CardRoad(has_toll_road=answer.toll_road.has_toll_road, can_switch_road=answer.toll_road.can_switch_road)
    promos = tuple(map(_promo, answer.promos.values)) if answer.HasField("promos") else None
    return RideCard(
        order_id=answer.order_id,
        status=answer.status,
        toll_road=road,
        promos=promos,
        toll_road_status=_road_status(answer),
    )


def _road_status(answer: api.TaxiOnTheWayResponse) -> RoadStatus:
    if not answer.toll_road_status:  # of a server that does not say
        return RoadStatus.KNOWN if answer.HasField("toll_road") else RoadStatus.UNKNOWN
    try:
        return RoadStatus(answer.toll_road_status)
    except ValueError:
        raise ServiceError(
            grpc.StatusCode.INTERNAL, message=f"the answer has an unknown toll_road_status: {answer.toll_road_status!r}"
        ) from None


def _promo(value: Value) -> Promo:
    if not value.HasField("struct_value"):
        raise _unreadable("it is no object")
    try:
        message = ParseDict(from_struct(value.struct_value), PromoMessage(), ignore_unknown_fields=True)
    except ParseError as error:
        raise _unreadable(str(error)) from error
    return inapp_messages.promo(message)


def _unreadable(why: str) -> ServiceError:
    return ServiceError(grpc.StatusCode.INTERNAL, message=f"the answer has a banner that cannot be read: {why}")
