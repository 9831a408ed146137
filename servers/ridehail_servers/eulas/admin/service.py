"""The gRPC service of the admin of agreements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from ridehail.eulas.v1 import admin_eulas_api_pb2 as api
from ridehail.eulas.v1 import admin_eulas_api_pb2_grpc as api_grpc
from ridehail.eulas.v1 import admin_eulas_pb2 as pb
from ridehail_servers.chassis.caller import current_caller
from ridehail_servers.eulas.config import EulasConfig

from .agreement_admin import AgreementAdmin
from .agreement_rules import Agreement, ServedPlaces, checked_agreement
from .codec import from_change, from_import, from_preview, from_run, from_stored, to_entry
from .eula_change import Author

Context = grpc.aio.ServicerContext[Any, Any]


class AdminEulasServicer(api_grpc.AdminEulasServiceServicer):
    def __init__(self, admin: AgreementAdmin, config: Callable[[], EulasConfig]) -> None:
        self._admin = admin
        self._config = config  # as it is now

    async def CreateEula(self, request: api.CreateEulaRequest, context: Context) -> api.CreateEulaResponse:
        stored = await self._admin.create(self._checked(request.agreement), _author(request.actor))
        return api.CreateEulaResponse(record=from_stored(stored))

    async def UpdateEula(self, request: api.UpdateEulaRequest, context: Context) -> api.UpdateEulaResponse:
        stored = await self._admin.update(
            self._checked(request.agreement), request.expected_version, _author(request.actor)
        )
        return api.UpdateEulaResponse(record=from_stored(stored))

    async def WithdrawEula(self, request: api.WithdrawEulaRequest, context: Context) -> api.WithdrawEulaResponse:
        stored = await self._admin.withdraw(request.eula_id, request.expected_version, _author(request.actor))
        return api.WithdrawEulaResponse(record=from_stored(stored))

    async def PreviewEulaUpdate(
        self, request: api.PreviewEulaUpdateRequest, context: Context
    ) -> api.PreviewEulaUpdateResponse:
        return from_preview(await self._admin.preview(self._checked(request.agreement)))

    async def ListEulaRecords(
        self, request: api.ListEulaRecordsRequest, context: Context
    ) -> api.ListEulaRecordsResponse:
        found = await self._admin.records(
            request.after_eula_id, request.page_size, with_withdrawn=request.with_withdrawn
        )
        return api.ListEulaRecordsResponse(records=map(from_stored, found))

    async def ListEulaChanges(
        self, request: api.ListEulaChangesRequest, context: Context
    ) -> api.ListEulaChangesResponse:
        eula_id = request.eula_id if request.HasField("eula_id") else None
        before = request.before_version if request.HasField("before_version") else None
        found = await self._admin.history(eula_id, before, request.page_size)
        return api.ListEulaChangesResponse(changes=map(from_change, found))

    async def ListResignRuns(self, request: api.ListResignRunsRequest, context: Context) -> api.ListResignRunsResponse:
        eula_id = request.eula_id if request.HasField("eula_id") else None
        return api.ListResignRunsResponse(runs=map(from_run, await self._admin.runs(eula_id, request.page_size)))

    async def ImportEulas(self, request: api.ImportEulasRequest, context: Context) -> api.ImportEulasResponse:
        config = self._config()
        found = await self._admin.import_file(
            config.eulas, config.locales, _author(request.actor), dry_run=request.dry_run
        )
        return from_import(found)

    def _checked(self, agreement: pb.Agreement) -> Agreement:
        config = self._config()
        return checked_agreement(to_entry(agreement), agreement.position, ServedPlaces(config.zones, config.locales))


def _author(actor: str) -> Author:
    return Author(current_caller(), actor)
