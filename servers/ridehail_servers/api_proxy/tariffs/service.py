"""The gRPC services about tariffs and zones."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import struct_pb2

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_servers.api_proxy.codec import shorten_locale, to_json_value
from ridehail_servers.chassis.passenger import current_passenger

from .dependencies import Eulas
from .tariff_filter import TariffFilter

Context = grpc.aio.ServicerContext[Any, Any]


class RoutestatsServicer(api_grpc.RoutestatsServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, tariff_filter: TariffFilter) -> None:
        self._tariff_filter = tariff_filter

    async def GetRouteStats(self, request: api.GetRouteStatsRequest, context: Context) -> api.GetRouteStatsResponse:
        filtered = await self._tariff_filter.filter(
            current_passenger().yandex_uid, zone_name=request.zone_name, tariffs=request.tariffs
        )
        hidden = [api.HiddenTariff(tariff=tariff, reason=reason) for tariff, reason in filtered.hidden.items()]
        return api.GetRouteStatsResponse(tariffs=filtered.shown, hidden=hidden)


class ZoneInfoServicer(api_grpc.ZoneInfoServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, eulas: Eulas) -> None:
        self._eulas = eulas

    async def GetZoneInfo(self, request: api.GetZoneInfoRequest, context: Context) -> api.GetZoneInfoResponse:
        passenger = current_passenger()
        eulas = await self._eulas.list_unanswered(
            passenger.yandex_uid, zone_name=request.zone_name, locale=shorten_locale(passenger.accept_language)
        )
        # A list is present even when it is empty; None leaves the field out.
        values = None if eulas is None else [to_json_value(eula.to_message()) for eula in eulas]
        need_acceptance = None if values is None else struct_pb2.ListValue(values=values)
        return api.GetZoneInfoResponse(need_acceptance=need_acceptance, need_acceptence=need_acceptance)
