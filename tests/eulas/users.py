"""Users of eulas, whom services call for or who call for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_pb2
from ridehail_clients import ServiceError
from ridehail_servers.chassis.clock import Clock, system_clock
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.support.calls import Metadata, call_patiently, failure_of
from tests.support.suite_in_process import SuiteInProcess

EULAS = "/ridehail.eulas.v1.EulasService"
PASSENGER_EULAS = "/ridehail.eulas.v1.PassengerEulasService"
LIST, SAVE, CHECK = f"{EULAS}/ListEulas", f"{EULAS}/SaveEulas", f"{EULAS}/CheckEulas"
BATCH_CHECK = f"{EULAS}/BatchCheckEulas"
PASSENGER_LIST, PASSENGER_SAVE = f"{PASSENGER_EULAS}/ListEulas", f"{PASSENGER_EULAS}/SaveEulas"

Batch = Sequence[tuple[str, str]]


def messages_of(batch: Batch) -> list[eulas_pb2.EulaDecision]:
    """Returns the messages of (agreement, status) pairs."""
    return [eulas_pb2.EulaDecision(eula_id=eula_id, status=status) for eula_id, status in batch]


def statuses(eulas: Sequence[eulas_pb2.Eula] | Sequence[eulas_pb2.EulaStatus]) -> list[tuple[str, str]]:
    """Returns agreement and status of each."""
    return [(eula.eula_id, eula.status) for eula in eulas]


def checked(result: api.CheckEulasResponse | eulas_pb2.EulaCheckResult) -> list[tuple[str, str, str]]:
    """Returns agreement, type and status of each."""
    return [(one.eula_id, one.type, one.status) for one in result.eulas]


@dataclass(frozen=True)
class User:
    """A user. Services' calls are made by `caller`, the user's own by the gateway."""

    suite: SuiteInProcess
    channel: grpc.aio.Channel
    uid: str
    caller: str = "admin"
    clock: Clock = system_clock

    @property
    def service_metadata(self) -> Metadata:
        return self._ticket(self.caller)

    def own_metadata(self, accept_language: str = "") -> Metadata:
        language = (("accept-language", accept_language),) if accept_language else ()
        return (*self._ticket("gateway", Identity(self.uid)), *language)

    def _ticket(self, source: str, passenger: Identity | None = None) -> Metadata:
        ticket = TicketIssuer(self.suite.keys, source, clock=self.clock).issue("eulas", passenger=passenger)
        return (("x-ya-service-ticket", ticket),)

    async def shown(self, wanted: str, zone_name: str | None = None, **fields: Any) -> Sequence[eulas_pb2.Eula]:
        request = api.ListEulasRequest(yandex_uid=self.uid, filter=wanted, zone_name=zone_name, **fields)
        response = await call_patiently(self.channel, LIST, request, metadata=self.service_metadata)
        return api.ListEulasResponse.FromString(response).eulas

    async def listed(self, wanted: str, zone_name: str | None = None, **fields: Any) -> Any:
        """Returns agreement and status of each that is listed."""
        return statuses(await self.shown(wanted, zone_name, **fields))

    async def save(self, *batch: tuple[str, str]) -> Sequence[str]:
        request = api.SaveEulasRequest(yandex_uid=self.uid, eulas=messages_of(batch))
        response = await call_patiently(self.channel, SAVE, request, metadata=self.service_metadata)
        return api.SaveEulasResponse.FromString(response).refresh

    async def refused(self, *batch: tuple[str, str]) -> ServiceError:
        """Saves what must be refused."""
        request = api.SaveEulasRequest(yandex_uid=self.uid, eulas=messages_of(batch))
        return await failure_of(self.channel, SAVE, request, metadata=self.service_metadata)

    async def check(self, *eula_ids: str) -> Any:
        """Returns agreement, type and status of each."""
        return await self._check(api.CheckEulasRequest(yandex_uid=self.uid, eula_ids=eula_ids))

    async def check_types(self, *eula_types: str, zone_name: str | None = None) -> Any:
        """Returns agreement, type and status of each."""
        return await self._check(api.CheckEulasRequest(yandex_uid=self.uid, eula_types=eula_types, zone_name=zone_name))

    async def _check(self, request: Message) -> list[tuple[str, str, str]]:
        response = await call_patiently(self.channel, CHECK, request, metadata=self.service_metadata)
        return checked(api.CheckEulasResponse.FromString(response))

    async def check_many(self, *checks: eulas_pb2.EulaCheck) -> list[list[tuple[str, str, str]]]:
        """Returns agreement, type and status of each, for each check of a batch, which may be of any users."""
        request = api.BatchCheckEulasRequest(checks=checks)
        response = await call_patiently(self.channel, BATCH_CHECK, request, metadata=self.service_metadata)
        return [checked(one) for one in api.BatchCheckEulasResponse.FromString(response).results]

    async def list_own(
        self, wanted: str, zone_name: str | None = None, *, accept_language: str = "", **fields: Any
    ) -> Sequence[eulas_pb2.Eula]:
        request = api.PassengerEulasServiceListEulasRequest(filter=wanted, zone_name=zone_name, **fields)
        response = await call_patiently(
            self.channel, PASSENGER_LIST, request, metadata=self.own_metadata(accept_language)
        )
        return api.PassengerEulasServiceListEulasResponse.FromString(response).eulas

    async def save_own(self, *batch: tuple[str, str]) -> Sequence[str]:
        request = api.PassengerEulasServiceSaveEulasRequest(eulas=messages_of(batch))
        response = await call_patiently(self.channel, PASSENGER_SAVE, request, metadata=self.own_metadata())
        return api.PassengerEulasServiceSaveEulasResponse.FromString(response).refresh

    async def stored(self) -> list[tuple[object, ...]]:
        """Returns what is stored of the user, and until when it counts."""
        return await self.suite.rows(
            """
            SELECT eula_id, status::text, revision, valid_till FROM eulas.users
            WHERE yandex_uid = %s ORDER BY eula_id
            """,
            self.uid,
        )

    async def last_logged(self) -> list[tuple[object, ...]]:
        """Returns the last entry of the log on each agreement, in the form of `stored`."""
        return await self.suite.rows(
            """
            SELECT DISTINCT ON (eula_id) eula_id, status::text, revision, valid_till
            FROM eulas.decisions WHERE yandex_uid = %s ORDER BY eula_id, decision_id DESC
            """,
            self.uid,
        )

    async def log(self) -> list[tuple[object, ...]]:
        """Returns the user's whole log, by arrival."""
        return await self.suite.rows(
            """
            SELECT eula_id, status::text, revision, source FROM eulas.decisions
            WHERE yandex_uid = %s ORDER BY decision_id
            """,
            self.uid,
        )
