"""The gRPC service of user_state."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.userstate.v1 import user_state_api_pb2 as api
from ridehail.userstate.v1 import user_state_api_pb2_grpc as api_grpc
from ridehail_kernel import call_context
from ridehail_kernel.json_values import from_value
from ridehail_servers.chassis.mock_write import is_mock_write
from ridehail_servers.chassis.timestamps import from_timestamp
from ridehail_servers.personal_state_backend.codec import change_from, copies_from, copy_messages, state_fields
from ridehail_servers.personal_state_backend.copies import StateCopies

from .comparisons import Comparisons
from .json_comparison import Kind, Response
from .stored_states import StoredStates

# The HTTP status of a body that comes without one.
_OK = 200

Context = grpc.aio.ServicerContext[Any, Any]


class UserStateServicer(api_grpc.UserStateServiceServicer):
    """See ridehail/userstate/v1/user_state_api.proto."""

    def __init__(self, states: StoredStates, copies: StateCopies, comparisons: Comparisons) -> None:
        self._states = states
        self._copies = copies
        self._comparisons = comparisons

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

    async def CompareJsons(self, request: api.CompareJsonsRequest, context: Context) -> api.CompareJsonsResponse:
        request_id = request.request_id if request.HasField("request_id") else call_context.request_id() or ""
        kind = Kind(request.kind) if request.HasField("kind") else Kind.READ
        await self._comparisons.compare(request_id, kind, lambda: _responses(request))
        return api.CompareJsonsResponse()


def _responses(request: api.CompareJsonsRequest) -> tuple[Response, Response]:
    old_status = request.old_status if request.HasField("old_status") else _OK
    new_status = request.new_status if request.HasField("new_status") else _OK
    return Response(old_status, from_value(request.old)), Response(new_status, from_value(request.new))
