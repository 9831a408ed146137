"""A server in the place of order_core and of order_state, that answers whatever a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import Message

from ridehail.ordercore.v1 import order_core_api_pb2 as core_api
from ridehail.orderstate.v1 import order_state_api_pb2 as state_api
from tests.api_proxy.scripted_eulas import Behaviour, Context, saying

TAXI = "ListActiveOrders"
SERVICE = "GetServiceOrdersState"
WHOLE = "GetOrdersState"
_REQUESTS: Mapping[str, type[Message]] = {
    f"/ridehail.ordercore.v1.OrderCoreService/{TAXI}": core_api.ListActiveOrdersRequest,
    f"/ridehail.orderstate.v1.OrderStateService/{SERVICE}": state_api.GetServiceOrdersStateRequest,
    f"/ridehail.orderstate.v1.OrderStateService/{WHOLE}": state_api.GetOrdersStateRequest,
}


@dataclass
class ScriptedOrders:
    """What happens to calls.

    Attributes:
        address: Where it answers.
        on: Answers each method; without a word, with an empty message.
        asked: The requests by method, in order of arrival.
        seconds_left: How long each of them might have taken when it came, by method.
    """

    address: str = ""
    on: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[tuple[str, Message]] = field(default_factory=list)
    seconds_left: dict[str, list[float]] = field(default_factory=dict)

    def forget(self) -> None:
        """Resets the script and the recorded calls."""
        self.on, self.asked, self.seconds_left = {}, [], {}

    def requests(self, method: str) -> list[Message]:
        """Returns the requests of a method."""
        return [request for name, request in self.asked if name == method]

    @property
    def whole(self) -> state_api.GetOrdersStateRequest:
        """The only request of GetOrdersState."""
        (request,) = self.requests(WHOLE)
        assert isinstance(request, state_api.GetOrdersStateRequest)
        return request


@asynccontextmanager
async def scripted_orders(*, port: int = 0) -> AsyncIterator[ScriptedOrders]:
    """Serves for the length of the block, at this port of the loopback address; 0: any free one."""
    scripted = ScriptedOrders()
    server = grpc.aio.server()

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            request_type = _REQUESTS.get(details.method)
            if request_type is None:
                return None  # health is not its own
            name = details.method.rpartition("/")[2]

            async def behaviour(request: bytes, context: Context) -> bytes:
                scripted.asked.append((name, request_type.FromString(request)))
                scripted.seconds_left.setdefault(name, []).append(context.time_remaining())
                return await scripted.on.get(name, saying(b""))(request, context)

            return grpc.unary_unary_rpc_method_handler(behaviour)

    server.add_generic_rpc_handlers((Handlers(),))
    scripted.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    await server.start()
    try:
        yield scripted
    finally:
        await server.stop(None)
