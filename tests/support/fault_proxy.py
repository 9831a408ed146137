"""A server between services that records calls, forwards them, and fails those that a test wants to fail."""

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
"""Answers a call in place of the service; may have the service handle it first, or never."""

_FORWARD_S = 10.0


class Failed(Exception):
    """Ends the call with a status, without the details that our servers give."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code)
        self.code = code


async def passing(forward: Forward) -> bytes:
    """Forwards the call."""
    return await forward()


async def down(_forward: Forward) -> bytes:
    """The service cannot be reached."""
    raise Failed(grpc.StatusCode.UNAVAILABLE)


async def erroring(_forward: Forward) -> bytes:
    """The service has a defect."""
    raise Failed(grpc.StatusCode.INTERNAL)


async def hanging(_forward: Forward) -> bytes:
    """The service never responds."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


async def late(forward: Forward) -> bytes:
    """The service responds a little later than usual."""
    await asyncio.sleep(0.05)
    return await forward()


async def lost_response(forward: Forward) -> bytes:
    """The service handles the call, and its response is lost."""
    await forward()
    raise Failed(grpc.StatusCode.UNAVAILABLE)


async def handled_then_hanging(forward: Forward) -> bytes:
    """The service handles the call, and its response never arrives."""
    await forward()
    return await hanging(forward)


def failing_with(error: DomainError) -> Fault:
    """Returns a fault that fails the call as our servers fail it with this error."""

    async def fault(_forward: Forward) -> bytes:
        raise error

    return fault


class Gate:
    """A fault that holds calls until the test opens it."""

    def __init__(self) -> None:
        self.held = 0
        self._opened = asyncio.Event()

    async def __call__(self, forward: Forward) -> bytes:
        self.held += 1
        await self._opened.wait()
        return await forward()

    def open(self) -> None:
        self._opened.set()


@dataclass(frozen=True)
class Call:
    """A call that arrived; `headers` is the metadata that begins with `x-`."""

    to: str
    path: str
    headers: dict[str, str | bytes]
    request: bytes

    @property
    def method(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass
class _Rule:
    fault: Fault
    part: str
    request_id: str
    times: int | None

    def fits(self, call: Call) -> bool:
        return (
            self.times != 0
            and self.part in call.path
            and self.request_id in {"", str(call.headers.get("x-request-id"))}
        )


@dataclass
class FaultProxy:
    """Forwards calls, but for those that a fault takes.

    Attributes:
        target: Returns the services' address, once calls arrive.
        to: The name of the services in `calls`.
        calls: Gets every call; several proxies may share one list.
    """

    target: Callable[[], str]
    to: str = ""
    calls: list[Call] = field(default_factory=list)
    address: str = ""
    _rules: list[_Rule] = field(default_factory=list)
    _channels: list[grpc.aio.Channel] = field(default_factory=list)

    @property
    def called(self) -> list[str]:
        return [call.path.rpartition(".")[2] for call in self.calls]

    def fail(self, fault: Fault, part: str = "", *, request_id: str = "", times: int | None = None) -> None:
        """Fails calls. Of the faults that fit a call the latest one takes it.

        Args:
            fault: How they fail.
            part: Part of their path, such as a service or a method, or empty for any.
            request_id: Of these calls, or empty for any.
            times: How many calls it takes, or None for all.
        """
        self._rules.insert(0, _Rule(fault, part, request_id, times))

    def heal(self) -> None:
        """Forwards calls from now on."""
        self._rules.clear()

    def clear(self) -> None:
        """Forwards calls from now on, and forgets earlier ones."""
        self.heal()
        self.calls.clear()

    async def handle(self, path: str, request: bytes, context: Context) -> bytes:
        metadata = [(key, value) for key, value in context.invocation_metadata() or () if key.startswith("x-")]
        call = Call(self.to, path, dict(metadata), request)
        self.calls.append(call)

        async def forward() -> bytes:
            if not self._channels:
                self._channels.append(grpc.aio.insecure_channel(self.target()))
            stub: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channels[0].unary_unary(path)
            return bytes(await stub(request, metadata=metadata, timeout=context.time_remaining() or _FORWARD_S))

        try:
            return await self._fault_of(call)(forward)
        except Failed as failed:
            await context.abort(failed.code, "failed by the test")
        except DomainError as error:
            code = next(code for code in grpc.StatusCode if code.value[0] == int(error.code))
            await context.abort(code, error.message, trailing_metadata_of(error))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        raise AssertionError("the call has ended")

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    def _fault_of(self, call: Call) -> Fault:
        rule = next((rule for rule in self._rules if rule.fits(call)), None)
        if rule is None:
            return passing
        if rule.times is not None:
            rule.times -= 1
        return rule.fault


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        path: str = details.method
        if not path.startswith("/ridehail."):
            return None  # health is not its own

        async def behaviour(request: bytes, context: Context) -> bytes:
            return await self._proxy.handle(path, request, context)

        return grpc.unary_unary_rpc_method_handler(behaviour)


@asynccontextmanager
async def fault_proxy(
    target: Callable[[], str], *, to: str = "", calls: list[Call] | None = None
) -> AsyncIterator[FaultProxy]:
    """Serves for the length of the block; for the arguments see `FaultProxy`."""
    proxy = FaultProxy(target, to, [] if calls is None else calls)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handlers(proxy),))
    proxy.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield proxy
    finally:
        await server.stop(None)
        await proxy.close()
