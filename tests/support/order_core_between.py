"""A server between a service and its neighbour that passes calls on, and fails where a test wants it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

SERVICE = "ridehail.ordercore.v1.OrderCoreService"
Forward = Callable[[], Awaitable[bytes]]
Fault = Callable[[Forward], Awaitable[bytes]]
"""Answers a call in place of order_core; may have it served first, or never."""


class Down(Exception):
    """The call is answered UNAVAILABLE."""


async def down(_forward: Forward) -> bytes:
    """The call does not reach order_core."""
    raise Down


async def lost_answer(forward: Forward) -> bytes:
    """The call is served, and the answer is lost."""
    await forward()
    raise Down


async def hanging(_forward: Forward) -> bytes:
    """Nobody answers."""
    await asyncio.sleep(60)
    raise Down


async def late(forward: Forward) -> bytes:
    """The call is served a little later than usual."""
    await asyncio.sleep(0.05)
    return await forward()


@dataclass
class OrderCoreBetween:
    """What happens to calls; without faults they are passed on.

    Attributes:
        address: Where it answers; known once it runs.
        faults: Each takes one call of its method, in turn.
        always: Takes every call of its method that no other fault takes.
        calls: The methods that were called.
    """

    address: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    always: dict[str, Fault] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Passes calls on from now on."""
        self.faults.clear()
        self.always.clear()
        self.calls.clear()


@asynccontextmanager
async def order_core_between(target: Callable[[], str], *, service: str = SERVICE) -> AsyncIterator[OrderCoreBetween]:
    """Serves for the length of the block.

    Args:
        target: Returns where the neighbour is, once calls come.
        service: The gRPC service of the neighbour.
    """
    between = OrderCoreBetween()
    server = grpc.aio.server()
    channels: list[grpc.aio.Channel] = []

    async def handle(method: str, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if not channels:
            channels.append(grpc.aio.insecure_channel(target()))
        metadata = [(key, value) for key, value in context.invocation_metadata() or () if key.startswith("x-")]

        async def forward() -> bytes:
            stub: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channels[0].unary_unary(f"/{service}/{method}")
            return bytes(await stub(request, metadata=metadata, timeout=10))

        between.calls.append(method)
        waiting = between.faults.get(method)
        fault = waiting.pop(0) if waiting else between.always.get(method)
        try:
            return await (forward() if fault is None else fault(forward))
        except Down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        raise AssertionError("the call was answered")

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            called, _, method = details.method.lstrip("/").partition("/")
            if called != service:
                return None  # health is not its own

            async def behaviour(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
                return await handle(method, request, context)

            return grpc.unary_unary_rpc_method_handler(behaviour)

    server.add_generic_rpc_handlers((Handlers(),))
    between.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield between
    finally:
        await server.stop(None)
        for channel in channels:
            await channel.close()
