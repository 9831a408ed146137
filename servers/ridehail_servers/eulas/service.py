"""The gRPC services of eulas."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_api_pb2_grpc as api_grpc
from ridehail_servers.chassis.caller import current_caller
from ridehail_servers.chassis.passenger import current_passenger

from .agreements import PASSENGER, Agreements
from .codec import ListCodec, add_statuses, to_check, to_decisions, to_location
from .eula_filter import Filter

Context = grpc.aio.ServicerContext[Any, Any]


class EulasServicer(api_grpc.EulasServiceServicer):
    def __init__(self, agreements: Agreements, lists: ListCodec) -> None:
        self._agreements = agreements
        self._lists = lists

    async def ListEulas(self, request: api.ListEulasRequest, context: Context) -> api.ListEulasResponse:
        listed, catalogue = await self._agreements.list_eulas(
            request.yandex_uid, Filter(request.filter), to_location(request)
        )
        response = api.ListEulasResponse()
        self._lists.add_eulas(response, listed, catalogue, request.locale)
        return response

    async def SaveEulas(self, request: api.SaveEulasRequest, context: Context) -> api.SaveEulasResponse:
        refresh = await self._agreements.save_eulas(
            request.yandex_uid, to_decisions(request.eulas), source=current_caller()
        )
        return api.SaveEulasResponse(refresh=refresh)

    async def CheckEulas(self, request: api.CheckEulasRequest, context: Context) -> api.CheckEulasResponse:
        response = api.CheckEulasResponse()
        add_statuses(response, await self._agreements.check_eulas(to_check(request)))
        return response

    async def BatchCheckEulas(
        self, request: api.BatchCheckEulasRequest, context: Context
    ) -> api.BatchCheckEulasResponse:
        response = api.BatchCheckEulasResponse()
        for statuses in await self._agreements.check_many([to_check(one) for one in request.checks]):
            add_statuses(response.results.add(), statuses)
        return response


class PassengerEulasServicer(api_grpc.PassengerEulasServiceServicer):
    def __init__(self, agreements: Agreements, lists: ListCodec) -> None:
        self._agreements = agreements
        self._lists = lists

    async def ListEulas(
        self, request: api.PassengerEulasServiceListEulasRequest, context: Context
    ) -> api.PassengerEulasServiceListEulasResponse:
        passenger = current_passenger()
        listed, catalogue = await self._agreements.list_eulas(
            passenger.yandex_uid, Filter(request.filter), to_location(request)
        )
        response = api.PassengerEulasServiceListEulasResponse()
        self._lists.add_eulas(response, listed, catalogue, passenger.accept_language)
        return response

    async def SaveEulas(
        self, request: api.PassengerEulasServiceSaveEulasRequest, context: Context
    ) -> api.PassengerEulasServiceSaveEulasResponse:
        uid = current_passenger().yandex_uid
        refresh = await self._agreements.save_eulas(uid, to_decisions(request.eulas), source=PASSENGER)
        return api.PassengerEulasServiceSaveEulasResponse(refresh=refresh)
