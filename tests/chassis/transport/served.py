"""A transport that serves a few scripted methods, beside health and reflection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import BytesValue
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from ridehail_servers.chassis.health import Health
from ridehail_servers.chassis.settings import ServerTuning
from ridehail_servers.chassis.transport import MethodHandlers, Transport, choose
from ridehail_servers.chassis.transport.base import RpcHandler

ECHO, HANG, WAIT, FAIL, GROW, REFUSE = (
    f"/test.Scripted/{name}" for name in ("Echo", "Hang", "Wait", "Fail", "Grow", "Refuse")
)
DETAILS = bytes(range(256))
REASON = "none: ключ, 100 %\n"


@dataclass
class Scripted(MethodHandlers):
    """Counts what reaches its handlers, and how that ends."""

    begun: int = 0
    cancelled: int = 0
    going_on: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def under_way(self) -> int:
        return self.begun - self.cancelled

    @property
    def paths(self) -> Collection[str]:
        return (ECHO, HANG, WAIT, FAIL, GROW, REFUSE)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> RpcHandler | None:
        methods = {ECHO: self.echo, HANG: self.hang, WAIT: self.wait, FAIL: self.fail, GROW: self.grow}
        method = methods.get(handler_call_details.method)
        if handler_call_details.method == REFUSE:
            return grpc.stream_stream_rpc_method_handler(self.refuse)
        if method is None:
            return None
        return grpc.unary_unary_rpc_method_handler(method, response_serializer=BytesValue.SerializeToString)

    async def echo(self, request: bytes, context: Any) -> BytesValue:
        """Returns the request, and the metadata of the test as trailing metadata."""
        self.begun += 1
        context.set_trailing_metadata(
            [(key, value) for key, value in context.invocation_metadata() if key.startswith("t-")]
        )
        return BytesValue(value=request)

    async def hang(self, request: bytes, context: Any) -> BytesValue:
        """Waits until the test lets it go on."""
        self.begun += 1
        try:
            await self.going_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return BytesValue(value=b"%d" % round((context.time_remaining() or 0) * 1000))

    async def wait(self, request: bytes, context: Any) -> BytesValue:
        """Ends by its deadline, as what waits for a dependency that hangs."""
        await asyncio.sleep(context.time_remaining())
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "waited")
        raise AssertionError

    async def fail(self, request: bytes, context: Any) -> BytesValue:
        await context.abort(grpc.StatusCode.NOT_FOUND, REASON, (("grpc-status-details-bin", DETAILS), ("t-id", "1")))
        raise AssertionError

    async def grow(self, request: bytes, context: Any) -> BytesValue:
        """Returns as many bytes as it is asked for."""
        return BytesValue(value=bytes(int(request)))

    async def refuse(self, requests: AsyncIterator[bytes], context: Any) -> None:
        context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
        context.set_details("full")
        context.set_trailing_metadata((("t-id", "2"),))


@dataclass
class Served:
    transport: Transport
    health: Health
    scripted: Scripted
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def channel(self, *options: tuple[str, int]) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1), *options])

    async def stop(self, grace_s: float = 0, *, idle: asyncio.Event | None = None) -> None:
        """Stops the transport; without an event it counts as idle at once."""
        if idle is None:
            idle = asyncio.Event()
            idle.set()
        self.scripted.going_on.set()
        await self.transport.stop(grace_s, idle=idle.wait)


@asynccontextmanager
async def served(name: str, *, port: int = 0, **tuning: Any) -> AsyncIterator[Served]:
    transport = choose(ServerTuning.model_validate({"transport": name, **tuning}), None)
    health = Health({"test.Scripted": ()}, away_s=1)
    health.register(transport)
    named = reflection.aio.ReflectionServicer(("test.Scripted",))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(named, transport)
    scripted = Scripted()
    port = await transport.start(f"127.0.0.1:{port}", scripted)
    health.start()
    running = Served(transport, health, scripted, port)
    try:
        yield running
    finally:
        await running.stop()
