"""The gRPC service of the card of a ride under way."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_clients import CardRoad
from ridehail_servers.api_proxy.locale_header import shortened
from ridehail_servers.chassis.passenger import current_passenger

from .promo_form import json_list
from .rider import Rider
from .taxi_on_the_way import TaxiOnTheWay

Context = grpc.aio.ServicerContext[Any, Any]


class TaxiOnTheWayServicer(api_grpc.TaxiOnTheWayServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, taxi_on_the_way: TaxiOnTheWay) -> None:
        """Takes the domain.

        Args:
            taxi_on_the_way: Makes the cards.
        """
        self._taxi_on_the_way = taxi_on_the_way

    async def TaxiOnTheWay(self, request: api.TaxiOnTheWayRequest, context: Context) -> api.TaxiOnTheWayResponse:
        """See the contract."""
        passenger = current_passenger()
        rider = Rider(passenger.yandex_uid, passenger.family_role, shortened(passenger.accept_language))
        actions = request.user_actions
        moved_to = actions.share_ride_with_family.value if actions.HasField("share_ride_with_family") else None
        card = await self._taxi_on_the_way.card(rider, request.order_id, moved_to=moved_to)
        return api.TaxiOnTheWayResponse(
            order_id=card.order_id,
            status=card.status,
            toll_road_status=card.toll_road_status,
            toll_road=None if card.toll_road is None else _toll_road(card.toll_road),
            # A list is present even when it is empty; None leaves the field out.
            promos=None if card.promos is None else json_list(card.promos),
        )


def _toll_road(road: CardRoad) -> api.TollRoad:
    return api.TollRoad(has_toll_road=road.has_toll_road, can_switch_road=road.can_switch_road)
