"""A server between a service and its neighbours that passes calls on, and fails where a test wants it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

UP, SLOW, DOWN, ERRORING = "up", "slow", "down", "erroring"
Context = grpc.aio.ServicerContext[bytes, bytes]
Handle = Callable[[str, bytes, Context], Awaitable[bytes]]
MODES = (UP, SLOW, DOWN, ERRORING)
_SLOW_S = 30.0


@dataclass
class Between:
    """What happens to calls.

    Attributes:
        address: Where it answers, in place of every neighbour.
        modes: What happens to the calls of a gRPC service, by its full name; of any other they are passed on.
        calls: The methods that were called, as `Service/Method` without the package.
    """

    address: str = ""
    modes: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)


class _Handlers(grpc.GenericRpcHandler):
    """Has a handler for every method of ours; health is not its own."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        path = details.method
        if not path.startswith("/ridehail."):
            return None

        async def behaviour(request: bytes, context: Context) -> bytes:
            return await self._handle(path, request, context)

        return grpc.unary_unary_rpc_method_handler(behaviour)


@asynccontextmanager
async def between(target: Callable[[], str]) -> AsyncIterator[Between]:
    """Serves for the length of the block.

    Args:
        target: Returns where all of the neighbours are, once calls come.
    """
    state = Between()
    server = grpc.aio.server()
    channels: list[grpc.aio.Channel] = []

    async def handle(path: str, request: bytes, context: Context) -> bytes:
        if not channels:
            channels.append(grpc.aio.insecure_channel(target()))
        service, _, _method = path.lstrip("/").partition("/")
        state.calls.append(path.rpartition(".")[2])
        mode = state.modes.get(service, UP)
        if mode == SLOW:
            await asyncio.sleep(_SLOW_S)
        if mode == DOWN:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        if mode == ERRORING:
            await context.abort(grpc.StatusCode.INTERNAL, "a defect")
        metadata = [(key, value) for key, value in context.invocation_metadata() or () if key.startswith("x-")]
        stub: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channels[0].unary_unary(path)
        try:
            return bytes(await stub(request, metadata=metadata, timeout=context.time_remaining() or 10))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        raise AssertionError("the call was answered")

    server.add_generic_rpc_handlers((_Handlers(handle),))
    state.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield state
    finally:
        await server.stop(None)
        for channel in channels:
            await channel.close()


@dataclass
class RedisBetween:
    """What happens to the bytes between a service and Redis.

    Attributes:
        url: Where it answers.
        mode: One of `MODES`.
    """

    url: str = ""
    mode: str = UP
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def switch(self, mode: str) -> None:
        """Changes the mode, for connections that there are as well."""
        self.mode = mode
        if mode == DOWN:
            for writer in self._writers:
                writer.close()

    async def serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a connection."""
        if self.mode == DOWN:
            writer.close()
            return
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", port)
        self._writers |= {writer, upstream}
        try:
            await asyncio.gather(self._pump(reader, upstream), self._pump(upstream_reader, writer, answers=True))
        except OSError:
            pass
        finally:
            for one in (writer, upstream):
                one.close()
                self._writers.discard(one)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False) -> None:
        while data := await reader.read(65536):
            if self.mode == SLOW and answers:
                await asyncio.sleep(0.3)
            if self.mode == ERRORING and answers:
                data = b"-ERR a defect\r\n"
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def redis_between(port: int) -> AsyncIterator[RedisBetween]:
    """Serves for the length of the block.

    Args:
        port: Of the real Redis.
    """
    state = RedisBetween()
    server = await asyncio.start_server(lambda reader, writer: state.serve(port, reader, writer), "127.0.0.1", 0)
    state.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield state
    finally:
        server.close()
        state.switch(DOWN)
