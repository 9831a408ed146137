"""The gRPC services of api_proxy."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import struct_pb2

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_servers.chassis.passenger import current_passenger

from .json_form import json_form
from .launch.answer import launch_response
from .launch.known_orders import read_known_orders
from .launch.launches import Launches
from .personal_state.form import question_from, response_of
from .personal_state.personal_states import PersonalStates
from .route_stats import RouteStats
from .zone_info import ZoneInfo

Context = grpc.aio.ServicerContext[Any, Any]


class RoutestatsServicer(api_grpc.RoutestatsServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, route_stats: RouteStats) -> None:
        """Takes the domain.

        Args:
            route_stats: Filters tariffs.
        """
        self._route_stats = route_stats

    async def GetRouteStats(self, request: api.GetRouteStatsRequest, context: Context) -> api.GetRouteStatsResponse:
        """See the contract."""
        filtered = await self._route_stats.tariffs_for(
            current_passenger().yandex_uid, zone_name=request.zone_name, tariffs=request.tariffs
        )
        return api.GetRouteStatsResponse(
            tariffs=filtered.shown,
            hidden=[api.HiddenTariff(tariff=one.tariff, reason=one.reason) for one in filtered.hidden],
        )


class ZoneInfoServicer(api_grpc.ZoneInfoServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, zone_info: ZoneInfo) -> None:
        """Takes the domain.

        Args:
            zone_info: Tells what zones ask of riders.
        """
        self._zone_info = zone_info

    async def GetZoneInfo(self, request: api.GetZoneInfoRequest, context: Context) -> api.GetZoneInfoResponse:
        """See the contract."""
        passenger = current_passenger()
        eulas = await self._zone_info.need_acceptance(
            passenger.yandex_uid, zone_name=request.zone_name, locale=passenger.accept_language
        )
        # A list is present even when it is empty; None leaves the field out.
        listed = None if eulas is None else struct_pb2.ListValue(values=[json_form(one) for one in eulas])
        return api.GetZoneInfoResponse(need_acceptance=listed, need_acceptence=listed)


class LaunchServicer(api_grpc.LaunchServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, launches: Launches) -> None:
        """Takes the domain.

        Args:
            launches: Tells apps what they need at their start.
        """
        self._launches = launches

    async def Launch(self, request: api.LaunchRequest, context: Context) -> api.LaunchResponse:
        """See the contract."""
        known = read_known_orders(request.known_orders)
        launch = await self._launches.launch(
            current_passenger().yandex_uid,
            supported_services=request.supported_services,
            known_orders=known.orders,
        )
        return launch_response(launch, others=known.others)


class PersonalStateServicer(api_grpc.PersonalStateServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, states: PersonalStates) -> None:
        """Takes the domain.

        Args:
            states: Answers riders' personal states.
        """
        self._states = states

    async def PersonalState(self, request: api.PersonalStateRequest, context: Context) -> api.PersonalStateResponse:
        """See the contract."""
        question = question_from(request, yandex_uid=current_passenger().yandex_uid)
        return response_of(await self._states.answer(question))
