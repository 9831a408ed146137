"""A server between two services of the suite that passes calls on, and fails those that a test wants to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

Context = grpc.aio.ServicerContext[bytes, bytes]
Fault = Callable[[Context], Awaitable[None]]
"""Ends a call in place of the service."""

_FORWARDED_S = 10.0


async def down(context: Context) -> None:
    """The service cannot be reached."""
    await context.abort(grpc.StatusCode.UNAVAILABLE, "down")


async def erroring(context: Context) -> None:
    """The service answers an error."""
    await context.abort(grpc.StatusCode.INTERNAL, "erroring")


async def slow(context: Context) -> None:
    """The service answers long after anybody waits for it."""
    await asyncio.sleep(60)
    await context.abort(grpc.StatusCode.INTERNAL, "slow")


@dataclass
class Between:
    """What happens to calls.

    Attributes:
        address: Where it answers.
        faults: Request id -> how calls that carry it fail. All others are passed on.
    """

    address: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)


@asynccontextmanager
async def between(target: Callable[[], str]) -> AsyncIterator[Between]:
    """Serves for the length of the block.

    Args:
        target: Returns where the service is, once calls come.
    """
    standing = Between()
    server = grpc.aio.server()
    channels: list[grpc.aio.Channel] = []

    async def handle(method: str, request: bytes, context: Context) -> bytes:
        metadata = [(key, value) for key, value in context.invocation_metadata() or () if key.startswith("x-")]
        fault = standing.faults.get(str(dict(metadata).get("x-request-id")))
        if fault is not None:
            await fault(context)
        if not channels:
            channels.append(grpc.aio.insecure_channel(target()))
        stub: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channels[0].unary_unary(method)
        try:
            return bytes(await stub(request, metadata=metadata, timeout=_FORWARDED_S))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        raise AssertionError("abort returned")

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            if details.method.startswith("/grpc.health."):
                return None  # health is not its own
            method: str = details.method

            async def behaviour(request: bytes, context: Context) -> bytes:
                return await handle(method, request, context)

            return grpc.unary_unary_rpc_method_handler(behaviour)

    server.add_generic_rpc_handlers((Handlers(),))
    standing.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield standing
    finally:
        await server.stop(None)
        for channel in channels:
            await channel.close()
