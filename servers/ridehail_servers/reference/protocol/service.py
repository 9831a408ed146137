"""The gRPC service of protocol."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.protocol.v1 import protocol_api_pb2 as api
from ridehail.protocol.v1 import protocol_api_pb2_grpc as api_grpc
from ridehail_servers.chassis.mock_write import is_mock_write
from ridehail_servers.chassis.timestamps import from_timestamp
from ridehail_servers.personal_state_backend.codec import change_from, copies_from, copy_messages, state_fields
from ridehail_servers.personal_state_backend.copies import StateCopies

from .stored_documents import StoredDocuments

Context = grpc.aio.ServicerContext[Any, Any]


class ProtocolServicer(api_grpc.ProtocolServiceServicer):
    """See ridehail/protocol/v1/protocol_api.proto."""

    def __init__(self, states: StoredDocuments, copies: StateCopies) -> None:
        self._states = states
        self._copies = copies

    async def GetPersonalState(
        self, request: api.GetPersonalStateRequest, context: Context
    ) -> api.GetPersonalStateResponse:
        state = await self._states.of_user(request.yandex_uid)
        return api.GetPersonalStateResponse(**state_fields(state))

    async def UpdatePersonalState(
        self, request: api.UpdatePersonalStateRequest, context: Context
    ) -> api.UpdatePersonalStateResponse:
        dry_run = is_mock_write(context.invocation_metadata())
        state = await self._states.update(request.yandex_uid, change_from(request), dry_run=dry_run)
        return api.UpdatePersonalStateResponse(**state_fields(state))

    async def ListPersonalStates(
        self, request: api.ListPersonalStatesRequest, context: Context
    ) -> api.ListPersonalStatesResponse:
        since = from_timestamp(request.changed_since) if request.HasField("changed_since") else None
        copies = await self._copies.list_page(request.after_yandex_uid, request.page_size, since)
        return api.ListPersonalStatesResponse(states=copy_messages(copies))

    async def ImportPersonalStates(
        self, request: api.ImportPersonalStatesRequest, context: Context
    ) -> api.ImportPersonalStatesResponse:
        return api.ImportPersonalStatesResponse(stored=await self._copies.import_newer(copies_from(request)))
