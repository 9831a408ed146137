"""The gRPC services of eulas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import grpc

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_api_pb2_grpc as api_grpc
from ridehail.eulas.v1 import eulas_pb2
from ridehail_servers.chassis.caller import current_caller
from ridehail_servers.chassis.locale_choice import preferred_languages, text_in
from ridehail_servers.chassis.passenger import current_passenger
from ridehail_servers.chassis.timestamps import to_timestamp

from .agreements import PASSENGER, Agreements
from .decision import Status
from .eula_catalogue import UserLocation
from .eula_filter import Filter, ListedEula
from .eula_save import NewDecision

Context = grpc.aio.ServicerContext[Any, Any]


class EulasServicer(api_grpc.EulasServiceServicer):
    def __init__(self, agreements: Agreements) -> None:
        self._agreements = agreements

    async def ListEulas(self, request: api.ListEulasRequest, context: Context) -> api.ListEulasResponse:
        listed = await self._agreements.list_eulas(request.yandex_uid, Filter(request.filter), _location(request))
        return api.ListEulasResponse(eulas=_eulas(listed, request.locale))

    async def SaveEulas(self, request: api.SaveEulasRequest, context: Context) -> api.SaveEulasResponse:
        refresh = await self._agreements.save_eulas(
            request.yandex_uid, _decisions(request.eulas), source=current_caller()
        )
        return api.SaveEulasResponse(refresh=refresh)

    async def CheckEulas(self, request: api.CheckEulasRequest, context: Context) -> api.CheckEulasResponse:
        statuses = await self._agreements.check_eulas(
            request.yandex_uid,
            request.eula_ids,
            request.eula_types,
            zone_name=request.zone_name if request.HasField("zone_name") else None,
        )
        return api.CheckEulasResponse(
            eulas=[eulas_pb2.EulaStatus(eula_id=one.eula_id, type=one.type, status=one.status) for one in statuses]
        )


class PassengerEulasServicer(api_grpc.PassengerEulasServiceServicer):
    def __init__(self, agreements: Agreements) -> None:
        self._agreements = agreements

    async def ListEulas(
        self, request: api.PassengerEulasServiceListEulasRequest, context: Context
    ) -> api.PassengerEulasServiceListEulasResponse:
        passenger = current_passenger()
        listed = await self._agreements.list_eulas(passenger.yandex_uid, Filter(request.filter), _location(request))
        return api.PassengerEulasServiceListEulasResponse(eulas=_eulas(listed, passenger.accept_language))

    async def SaveEulas(
        self, request: api.PassengerEulasServiceSaveEulasRequest, context: Context
    ) -> api.PassengerEulasServiceSaveEulasResponse:
        uid = current_passenger().yandex_uid
        refresh = await self._agreements.save_eulas(uid, _decisions(request.eulas), source=PASSENGER)
        return api.PassengerEulasServiceSaveEulasResponse(refresh=refresh)


def _location(request: api.ListEulasRequest | api.PassengerEulasServiceListEulasRequest) -> UserLocation | None:
    if not request.HasField("zone_name"):
        return None
    country = request.country if request.HasField("country") else None
    return UserLocation(request.zone_name, country, frozenset(request.tariffs))


def _decisions(decisions: Iterable[eulas_pb2.EulaDecision]) -> list[NewDecision]:
    return [NewDecision(decision.eula_id, Status(decision.status)) for decision in decisions]


def _eulas(listed: Sequence[ListedEula], accept_language: str) -> list[eulas_pb2.Eula]:
    languages = preferred_languages(accept_language)
    return [_eula(one, languages) for one in listed]


def _eula(listed: ListedEula, languages: Sequence[str]) -> eulas_pb2.Eula:
    eula, decision = listed.eula, listed.decision
    return eulas_pb2.Eula(
        eula_id=listed.eula_id,
        type=eula.type if eula else "",
        status=listed.status,
        title=text_in(eula.title, languages) if eula else "",
        text=text_in(eula.text, languages) if eula else "",
        url=eula.url if eula else "",
        rejectable=eula.rejectable if eula else False,
        valid_till=to_timestamp(decision.valid_till) if decision else None,
        updated_at=to_timestamp(decision.updated_at) if decision else None,
    )
