"""The gRPC services of toll_roads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail.tollroads.v1 import toll_roads_pb2
from ridehail_servers.chassis.passenger import current_passenger
from ridehail_servers.chassis.timestamps import from_timestamp, to_timestamp

from .offers import Offers
from .order_save import OrderSave
from .order_saves import OrderSaves
from .road import Road
from .road_switch import RoadSwitch
from .road_switches import RoadSwitches

Context = grpc.aio.ServicerContext[Any, Any]


class Roads(Protocol):
    """Knows which road orders go by."""

    async def road_of(self, order_id: str) -> Road:
        """Returns the road of an order."""

    async def roads_of(self, order_ids: Sequence[str]) -> list[Road]:
        """Returns the roads of those of the orders that have one."""


class TollRoadsServicer(api_grpc.TollRoadsServiceServicer):
    """See ridehail/tollroads/v1/toll_roads_api.proto."""

    def __init__(self, offers: Offers, roads: Callable[[], Roads], saves: OrderSaves) -> None:
        """Takes the domain.

        Args:
            offers: Remembers offers.
            roads: Returns what answers by the present configuration.
            saves: Takes orders for saving.
        """
        self._offers = offers
        self._roads = roads
        self._saves = saves

    async def SaveOffer(self, request: api.SaveOfferRequest, context: Context) -> api.SaveOfferResponse:
        """See the contract."""
        await self._offers.save(request.offer_id)
        return api.SaveOfferResponse()

    async def RetrieveOrder(self, request: api.RetrieveOrderRequest, context: Context) -> api.RetrieveOrderResponse:
        """See the contract."""
        road = await self._roads().road_of(request.order_id)
        return api.RetrieveOrderResponse(
            has_toll_road=road.has_toll_road, can_switch_road=road.can_switch_road, created=to_timestamp(road.created)
        )

    async def BatchRetrieveOrders(
        self, request: api.BatchRetrieveOrdersRequest, context: Context
    ) -> api.BatchRetrieveOrdersResponse:
        """See the contract."""
        roads = await self._roads().roads_of(request.order_ids)
        found = {road.order_id for road in roads}
        return api.BatchRetrieveOrdersResponse(
            orders=[
                toll_roads_pb2.OrderRoad(
                    order_id=road.order_id,
                    has_toll_road=road.has_toll_road,
                    can_switch_road=road.can_switch_road,
                    created=to_timestamp(road.created),
                )
                for road in roads
            ],
            missing_order_ids=[order_id for order_id in dict.fromkeys(request.order_ids) if order_id not in found],
        )

    async def EnqueueOrderSave(
        self, request: api.EnqueueOrderSaveRequest, context: Context
    ) -> api.EnqueueOrderSaveResponse:
        """See the contract."""
        await self._saves.enqueue(
            OrderSave(
                order_id=request.order_id,
                created=from_timestamp(request.created),
                offer_id=request.offer_id if request.HasField("offer_id") else None,
                can_switch_road=request.can_switch_road,
                user_chose_toll_road=request.user_chose_toll_road,
                yandex_uid=request.yandex_uid if request.HasField("yandex_uid") else None,
            )
        )
        return api.EnqueueOrderSaveResponse()


class PassengerTollRoadsServicer(api_grpc.PassengerTollRoadsServiceServicer):
    """See ridehail/tollroads/v1/toll_roads_api.proto."""

    def __init__(self, switches: RoadSwitches) -> None:
        """Takes the domain.

        Args:
            switches: Takes riders' switches.
        """
        self._switches = switches

    async def SwitchRoad(self, request: api.SwitchRoadRequest, context: Context) -> api.SwitchRoadResponse:
        """See the contract."""
        switch = RoadSwitch(request.order_id, from_timestamp(request.created), request.has_toll_road)
        await self._switches.switch(switch, yandex_uid=current_passenger().yandex_uid)
        return api.SwitchRoadResponse()
