"""The native transport, tried on calls of its own before it serves those of others.

Its library is young. A release is pinned, but not what it is built with or runs on; so each process finds out at its
start whether what our promises rest on holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc

from ridehail_clients import open_async_channel
from ridehail_servers.chassis.errors import Explained
from ridehail_servers.chassis.settings import ServerTuning

from .base import MethodHandlers, RpcHandler
from .native import NativeTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TIMEOUT_S = 10.0
_ECHO, _ABORT, _HANG = (f"/ridehail.Check/{name}" for name in ("Echo", "Abort", "Hang"))
_METADATA = (("check", "text"), ("check-bin", b"\0\xff"))
_tried = False


class TransportBroken(Explained):
    """The library of the native transport does not behave as it has to."""


class TriedNativeTransport(NativeTransport):
    async def start(self, address: str, handlers: MethodHandlers) -> int:
        global _tried  # noqa: PLW0603 - once in a process is enough
        if not _tried:
            await check()
            _tried = True
        return await super().start(address, handlers)


async def check() -> None:
    """Makes a few calls; raises `TransportBroken` if one goes wrong."""
    handlers = _Handlers()
    try:
        async with asyncio.timeout(_TIMEOUT_S), _calls_to(handlers) as (call, transport):
            echo = call(_ECHO, b"echo")
            _expect("responses", await echo, b"echo")
            _expect("metadata", tuple(await echo.trailing_metadata() or ()), _METADATA)
            aborted = call(_ABORT)
            _expect("statuses", (await aborted.code(), await aborted.details()), (grpc.StatusCode.ABORTED, "ü"))

            cut = call(_HANG)
            await handlers.hanging.wait()
            cut.cancel()
            await handlers.cancelled.wait()

            handlers.hanging.clear()
            last = call(_HANG)
            await handlers.hanging.wait()
            stopping = asyncio.create_task(transport.stop(_TIMEOUT_S, idle=handlers.ended.wait))
            await asyncio.sleep(0)
            handlers.going_on.set()
            _expect("the end of calls under way", await last, b"")
            await stopping
    except (TimeoutError, grpc.RpcError) as error:
        raise TransportBroken(f"the native transport does not work: {error!r}; set transport: grpcio") from error


@asynccontextmanager
async def _calls_to(handlers: _Handlers) -> AsyncIterator[tuple[Any, NativeTransport]]:
    """Serves the handlers; yields what calls them."""
    transport = NativeTransport(ServerTuning())
    port = await transport.start("127.0.0.1:0", handlers)
    async with open_async_channel(f"127.0.0.1:{port}", health_check=False) as channel:
        yield lambda path, request=b"": channel.unary_unary(path)(request, metadata=_METADATA), transport


class _Handlers(MethodHandlers):
    def __init__(self) -> None:
        self.hanging, self.cancelled, self.going_on, self.ended = (asyncio.Event() for _ in range(4))

    @property
    def paths(self) -> Collection[str]:
        return (_ECHO, _ABORT, _HANG)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> RpcHandler:
        methods = {_ECHO: self._echo, _ABORT: self._abort, _HANG: self._hang}
        return grpc.unary_unary_rpc_method_handler(methods[handler_call_details.method])

    async def _echo(self, request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata([it for it in context.invocation_metadata() if it[0].startswith("check")])
        return request

    async def _abort(self, _request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.ABORTED, "ü")
        raise AssertionError

    async def _hang(self, request: bytes, _context: Any) -> bytes:
        self.hanging.set()
        try:
            await self.going_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.ended.set()
        return request


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise TransportBroken(f"the native transport spoils {what}: {found!r}; set transport: grpcio")
