"""A server before a neighbour that notes each call, passes it on, and fails where a test wants it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from ridehail_servers.chassis.errors import DomainError
from ridehail_servers.chassis.status import trailing_metadata_of

Context = grpc.aio.ServicerContext[bytes, bytes]
Forward = Callable[[], Awaitable[bytes]]
Fault = Callable[[Forward], Awaitable[bytes]]
"""Answers a call in place of the neighbour; may have it served first, or never."""


class Down(Exception):
    """The call is answered UNAVAILABLE, with no word of a server of ours."""


def answering(error: DomainError) -> Fault:
    """The call does not reach the neighbour, and is answered as one of our servers would."""

    async def fault(_forward: Forward) -> bytes:
        raise error

    return fault


async def unavailable(_forward: Forward) -> bytes:
    """The call does not reach the neighbour."""
    raise Down


async def lost_answer(forward: Forward) -> bytes:
    """The call is served, and the answer is lost."""
    await forward()
    raise Down


async def hanging(_forward: Forward) -> bytes:
    """Nobody answers."""
    await asyncio.sleep(60)
    raise Down


async def served_and_hanging(forward: Forward) -> bytes:
    """The call is served, and nobody answers."""
    await forward()
    return await hanging(forward)


@dataclass(frozen=True)
class Recorded:
    """A call that was made.

    Attributes:
        to: The neighbour, as the test calls it.
        method: Its name.
        headers: The metadata that begin with `x-`.
        request: As it was sent.
    """

    to: str
    method: str
    headers: dict[str, str | bytes]
    request: bytes


@dataclass
class Between:
    """What happens to calls; without faults they are passed on.

    Attributes:
        service: The full name of the neighbour's gRPC service.
        target: Returns where the neighbour is, once calls come.
        to: The neighbour, as the test calls it.
        log: Gets every call, in their order; several may share one.
        address: Where it answers; known once it runs.
        faults: By method; each takes every call.
    """

    service: str
    target: Callable[[], str]
    to: str
    log: list[Recorded]
    address: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)
    _channels: list[grpc.aio.Channel] = field(default_factory=list)

    async def handle(self, method: str, request: bytes, context: Context) -> bytes:
        """Notes a call and answers it."""
        metadata = [(key, value) for key, value in context.invocation_metadata() or () if key.startswith("x-")]
        self.log.append(Recorded(self.to, method, dict(metadata), request))

        async def forward() -> bytes:
            stub: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
            stub = self._channel().unary_unary(f"/{self.service}/{method}")
            return bytes(await stub(request, metadata=metadata, timeout=10))

        fault = self.faults.get(method)
        try:
            return await (forward() if fault is None else fault(forward))
        except Down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        except DomainError as error:
            code = next(code for code in grpc.StatusCode if code.value[0] == int(error.code))
            await context.abort(code, error.message, trailing_metadata_of(error))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        raise AssertionError("the call was answered")

    async def close(self) -> None:
        """Closes what it opened."""
        for channel in self._channels:
            await channel.close()

    def _channel(self) -> grpc.aio.Channel:
        if not self._channels:
            self._channels.append(grpc.aio.insecure_channel(self.target()))
        return self._channels[0]


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, between: Between) -> None:
        self._between = between

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        called, _, method = details.method.lstrip("/").partition("/")
        if called != self._between.service:
            return None  # health is not its own

        async def behaviour(request: bytes, context: Context) -> bytes:
            return await self._between.handle(method, request, context)

        return grpc.unary_unary_rpc_method_handler(behaviour)


@asynccontextmanager
async def recording_between(
    service: str, target: Callable[[], str], *, to: str, log: list[Recorded], port: int = 0
) -> AsyncIterator[Between]:
    """Serves for the length of the block.

    Args:
        service: See `Between`.
        target: See `Between`.
        to: See `Between`.
        log: See `Between`.
        port: Of the loopback address; 0: any free one.
    """
    between = Between(service, target, to, log)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handlers(between),))
    between.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    await server.start()
    try:
        yield between
    finally:
        await server.stop(None)
        await between.close()
