"""The gRPC service of user_state."""

from __future__ import annotations

from ridehail.userstate.v1 import user_state_api_pb2 as api
from ridehail.userstate.v1 import user_state_api_pb2_grpc as api_grpc
from ridehail_kernel import call_context
from ridehail_kernel.json_values import from_value
from ridehail_servers.personal_state_backend.copies import StateCopies
from ridehail_servers.personal_state_backend.service import BackEndServicer, Context

from .comparisons import Comparisons
from .json_comparison import Kind, Response
from .stored_states import StoredStates

_OK = 200


class UserStateServicer(BackEndServicer, api_grpc.UserStateServiceServicer):
    """See ridehail/userstate/v1/user_state_api.proto."""

    api = api

    def __init__(self, states: StoredStates, copies: StateCopies, comparisons: Comparisons) -> None:
        super().__init__(states, copies)
        self._comparisons = comparisons

    async def CompareJsons(self, request: api.CompareJsonsRequest, context: Context) -> api.CompareJsonsResponse:
        request_id = request.request_id if request.HasField("request_id") else call_context.request_id() or ""
        kind = Kind(request.kind) if request.HasField("kind") else Kind.READ
        await self._comparisons.compare(request_id, kind, lambda: _responses(request))
        return api.CompareJsonsResponse()


def _responses(request: api.CompareJsonsRequest) -> tuple[Response, Response]:
    old_status = request.old_status if request.HasField("old_status") else _OK
    new_status = request.new_status if request.HasField("new_status") else _OK
    return Response(old_status, from_value(request.old)), Response(new_status, from_value(request.new))
