"""The gRPC service of riders' personal states."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_servers.chassis.passenger import current_passenger

from .codec import read_request, state_response
from .rollout import Rollout

Context = grpc.aio.ServicerContext[Any, Any]


class PersonalStateServicer(api_grpc.PersonalStateServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout

    async def PersonalState(self, request: api.PersonalStateRequest, context: Context) -> api.PersonalStateResponse:
        rider_request = read_request(request, yandex_uid=current_passenger().yandex_uid)
        return state_response(await self._rollout.perform(rider_request))
