"""The gRPC service of the card of a ride under way."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_clients import RoadStatus
from ridehail_servers.api_proxy.codec import shorten_locale
from ridehail_servers.chassis.passenger import current_passenger

from .codec import promo_list
from .ride_card import Card, RideCards, Rider

Context = grpc.aio.ServicerContext[Any, Any]


class TaxiOnTheWayServicer(api_grpc.TaxiOnTheWayServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, cards: RideCards) -> None:
        self._cards = cards

    async def TaxiOnTheWay(self, request: api.TaxiOnTheWayRequest, context: Context) -> api.TaxiOnTheWayResponse:
        passenger = current_passenger()
        rider = Rider(passenger.yandex_uid, passenger.family_role, shorten_locale(passenger.accept_language))
        actions = request.user_actions
        is_moved = actions.HasField("share_ride_with_family")
        share_with_family = actions.share_ride_with_family.value if is_moved else None
        return _response(await self._cards.get(rider, request.order_id, share_with_family=share_with_family))


def _response(card: Card) -> api.TaxiOnTheWayResponse:
    response = api.TaxiOnTheWayResponse(
        order_id=card.order_id,
        status=card.status,
        # A list is present even when it is empty; None leaves the field out.
        promos=None if card.promos is None else promo_list(card.promos),
    )
    if isinstance(card.road, RoadStatus):
        response.toll_road_status = card.road
    else:
        response.toll_road_status = RoadStatus.KNOWN
        response.toll_road.has_toll_road = card.road.has_toll_road
        response.toll_road.can_switch_road = card.road.can_switch_road
        response.toll_road.SetInParent()
    return response
