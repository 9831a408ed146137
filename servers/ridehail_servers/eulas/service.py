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
from .answers import Answer
from .decision import Status
from .eula_catalogue import Whereabouts
from .eula_filter import Filter, ListedEula

Context = grpc.aio.ServicerContext[Any, Any]


class EulasServicer(api_grpc.EulasServiceServicer):
    """See ridehail/eulas/v1/eulas_api.proto."""

    def __init__(self, agreements: Agreements) -> None:
        """Takes the domain.

        Args:
            agreements: Lists, checks and saves.
        """
        self._agreements = agreements

    async def ListEulas(self, request: api.ListEulasRequest, context: Context) -> api.ListEulasResponse:
        """See the contract."""
        listed = await self._agreements.listed(request.yandex_uid, Filter(request.filter), _whereabouts(request))
        return api.ListEulasResponse(eulas=_eulas(listed, request.locale))

    async def SaveEulas(self, request: api.SaveEulasRequest, context: Context) -> api.SaveEulasResponse:
        """See the contract."""
        refresh = await self._agreements.save(request.yandex_uid, _answers(request.eulas), source=current_caller())
        return api.SaveEulasResponse(refresh=refresh)

    async def CheckEulas(self, request: api.CheckEulasRequest, context: Context) -> api.CheckEulasResponse:
        """See the contract."""
        standings = await self._agreements.standings(
            request.yandex_uid,
            request.eula_ids,
            request.eula_types,
            zone_name=request.zone_name if request.HasField("zone_name") else None,
        )
        return api.CheckEulasResponse(
            eulas=[eulas_pb2.EulaStatus(eula_id=one.eula_id, type=one.type, status=one.status) for one in standings]
        )


class PassengerEulasServicer(api_grpc.PassengerEulasServiceServicer):
    """See ridehail/eulas/v1/eulas_api.proto."""

    def __init__(self, agreements: Agreements) -> None:
        """Takes the domain.

        Args:
            agreements: Lists and saves.
        """
        self._agreements = agreements

    async def ListEulas(
        self, request: api.PassengerEulasServiceListEulasRequest, context: Context
    ) -> api.PassengerEulasServiceListEulasResponse:
        """See the contract."""
        passenger = current_passenger()
        listed = await self._agreements.listed(passenger.yandex_uid, Filter(request.filter), _whereabouts(request))
        return api.PassengerEulasServiceListEulasResponse(eulas=_eulas(listed, passenger.accept_language))

    async def SaveEulas(
        self, request: api.PassengerEulasServiceSaveEulasRequest, context: Context
    ) -> api.PassengerEulasServiceSaveEulasResponse:
        """See the contract."""
        uid = current_passenger().yandex_uid
        refresh = await self._agreements.save(uid, _answers(request.eulas), source=PASSENGER)
        return api.PassengerEulasServiceSaveEulasResponse(refresh=refresh)


def _whereabouts(request: api.ListEulasRequest | api.PassengerEulasServiceListEulasRequest) -> Whereabouts | None:
    if not request.HasField("zone_name"):
        return None
    country = request.country if request.HasField("country") else None
    return Whereabouts(request.zone_name, country, frozenset(request.tariffs))


def _answers(decisions: Iterable[eulas_pb2.EulaDecision]) -> list[Answer]:
    return [Answer(decision.eula_id, Status(decision.status)) for decision in decisions]


def _eulas(listed: Sequence[ListedEula], accept_language: str) -> list[eulas_pb2.Eula]:
    languages = preferred_languages(accept_language)
    return [_eula(one, languages) for one in listed]


def _eula(listed: ListedEula, languages: Sequence[str]) -> eulas_pb2.Eula:
    eula, decision = listed.eula, listed.decision
    return eulas_pb2.Eula(
        eula_id=listed.eula_id,
        type=eula.type if eula else "",
        status=listed.status,
        title=text_in(eula.titles, languages) if eula else "",
        text=text_in(eula.texts, languages) if eula else "",
        url=eula.url if eula else "",
        rejectable=eula.rejectable if eula else False,
        valid_till=to_timestamp(decision.valid_till) if decision else None,
        updated_at=to_timestamp(decision.updated_at) if decision else None,
    )
