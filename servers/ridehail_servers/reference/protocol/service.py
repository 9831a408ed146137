"""The gRPC service of protocol."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.protocol.v1 import protocol_api_pb2 as api
from ridehail.protocol.v1 import protocol_api_pb2_grpc as api_grpc
from ridehail_servers.chassis.mock_write import is_mock_write
from ridehail_servers.chassis.timestamps import from_timestamp
from ridehail_servers.personal_state_backend.codec import change_from, copies_from, copy_messages, state_fields

from .stored_states import StoredStates

Context = grpc.aio.ServicerContext[Any, Any]


class ProtocolServicer(api_grpc.ProtocolServiceServicer):
    """See ridehail/protocol/v1/protocol_api.proto."""

    def __init__(self, users: StoredStates) -> None:
        """Takes the domain.

        Args:
            users: Reads and changes.
        """
        self._users = users

    async def GetPersonalState(
        self, request: api.GetPersonalStateRequest, context: Context
    ) -> api.GetPersonalStateResponse:
        """See the contract."""
        state = await self._users.state_of(request.yandex_uid)
        return api.GetPersonalStateResponse(**state_fields(state))

    async def UpdatePersonalState(
        self, request: api.UpdatePersonalStateRequest, context: Context
    ) -> api.UpdatePersonalStateResponse:
        """See the contract."""
        undone = is_mock_write(context.invocation_metadata())
        state = await self._users.update(request.yandex_uid, change_from(request), undone=undone)
        return api.UpdatePersonalStateResponse(**state_fields(state))

    async def ListPersonalStates(
        self, request: api.ListPersonalStatesRequest, context: Context
    ) -> api.ListPersonalStatesResponse:
        """See the contract."""
        since = from_timestamp(request.changed_since) if request.HasField("changed_since") else None
        copies = await self._users.listed(request.after_yandex_uid, request.page_size, since)
        return api.ListPersonalStatesResponse(states=copy_messages(copies))

    async def ImportPersonalStates(
        self, request: api.ImportPersonalStatesRequest, context: Context
    ) -> api.ImportPersonalStatesResponse:
        """See the contract."""
        return api.ImportPersonalStatesResponse(stored=await self._users.import_newer(copies_from(request)))
