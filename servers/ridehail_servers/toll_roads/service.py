"""The gRPC services of toll_roads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail.tollroads.v1 import toll_roads_pb2
from ridehail_servers.chassis.passenger import current_passenger
from ridehail_servers.chassis.timestamps import from_timestamp, to_timestamp

from .offers import Offers
from .order_save import OrderSave
from .road_lookup import RoadLookup
from .road_switch import RoadSwitch
from .switching import RoadSwitching
from .tasks import OrderSaveTask

Context = grpc.aio.ServicerContext[Any, Any]


class TollRoadsServicer(api_grpc.TollRoadsServiceServicer):
    def __init__(self, offers: Offers, road_lookup: Callable[[], RoadLookup], save_task: OrderSaveTask) -> None:
        self._offers = offers
        self._road_lookup = road_lookup  # of the present configuration
        self._save_task = save_task

    async def SaveOffer(self, request: api.SaveOfferRequest, context: Context) -> api.SaveOfferResponse:
        await self._offers.save(request.offer_id)
        return api.SaveOfferResponse()

    async def RetrieveOrder(self, request: api.RetrieveOrderRequest, context: Context) -> api.RetrieveOrderResponse:
        road = await self._road_lookup().road_of(request.order_id)
        return api.RetrieveOrderResponse(
            has_toll_road=road.has_toll_road, can_switch_road=road.can_switch_road, created=to_timestamp(road.created)
        )

    async def BatchRetrieveOrders(
        self, request: api.BatchRetrieveOrdersRequest, context: Context
    ) -> api.BatchRetrieveOrdersResponse:
        roads = await self._road_lookup().roads_of(request.order_ids)
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
        await self._save_task.enqueue(
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
    def __init__(self, switching: RoadSwitching) -> None:
        self._switching = switching

    async def SwitchRoad(self, request: api.SwitchRoadRequest, context: Context) -> api.SwitchRoadResponse:
        switch = RoadSwitch(request.order_id, from_timestamp(request.created), request.has_toll_road)
        await self._switching.switch(switch, yandex_uid=current_passenger().yandex_uid)
        return api.SwitchRoadResponse()
