"""A server in place of eulas that responds as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_pb2

SERVICE = "ridehail.eulas.v1.EulasService"
# By so much gRPC may prolong the time of a call on its way.
ROUNDING_S = 0.02
Context = grpc.aio.ServicerContext[bytes, bytes]
Behaviour = Callable[[bytes, Context], Awaitable[bytes]]
"""Takes an encoded request and returns the encoded response."""


def knowing(statuses: Mapping[str, str]) -> Behaviour:
    """CheckEulas of a rider with these statuses by type; any other type is unknown."""

    async def respond(encoded: bytes, _context: Context) -> bytes:
        request = api.CheckEulasRequest.FromString(encoded)
        return check_answer([(name, statuses.get(name, "unknown")) for name in dict.fromkeys(request.eula_types)])

    return respond


def check_answer(statuses: Sequence[tuple[str, str]]) -> bytes:
    """Returns an encoded response of CheckEulas."""
    return api.CheckEulasResponse(
        eulas=[eulas_pb2.EulaStatus(eula_id=f"{name}_1", type=name, status=status) for name, status in statuses]
    ).SerializeToString()


def saying(encoded: bytes) -> Behaviour:
    """Always the same bytes."""

    async def respond(_request: bytes, _context: Context) -> bytes:
        return encoded

    return respond


def failing(code: grpc.StatusCode, trailing: Sequence[tuple[str, str | bytes]] = ()) -> Behaviour:
    """Always the same error."""

    async def respond(_request: bytes, context: Context) -> bytes:
        await context.abort(code, "as the test wants it", tuple(trailing))
        raise AssertionError("abort returned")

    return respond


def later(seconds: float, then: Behaviour) -> Behaviour:
    """The same, but after some time."""

    async def respond(request: bytes, context: Context) -> bytes:
        await asyncio.sleep(seconds)
        return await then(request, context)

    return respond


hanging = later(60, saying(b""))


def together(barrier: asyncio.Barrier, then: Behaviour) -> Behaviour:
    """The same, but once so many calls have come as the barrier says."""

    async def respond(request: bytes, context: Context) -> bytes:
        await barrier.wait()
        return await then(request, context)

    return respond


def at_first(first: Sequence[Behaviour], then: Behaviour) -> Behaviour:
    """One behaviour a call, in turn; another from then on."""
    waiting = list(first)

    async def respond(request: bytes, context: Context) -> bytes:
        return await (waiting.pop(0) if waiting else then)(request, context)

    return respond


@dataclass
class ScriptedEulas:
    """What happens to calls.

    Attributes:
        address: Where it answers.
        on_check: Answers CheckEulas.
        on_list: Answers ListEulas.
        checked: The requests of CheckEulas.
        listed: The requests of ListEulas.
        seconds_left: How long each call might have taken when it came.
        metadata: Of the latest call.
    """

    address: str = ""
    on_check: Behaviour = field(default_factory=lambda: knowing({}))
    on_list: Behaviour = field(default_factory=lambda: saying(b""))
    checked: list[api.CheckEulasRequest] = field(default_factory=list)
    listed: list[api.ListEulasRequest] = field(default_factory=list)
    seconds_left: list[float] = field(default_factory=list)
    metadata: dict[str, str | bytes] = field(default_factory=dict)

    def forget(self) -> None:
        """Resets the script and the recorded calls."""
        new = ScriptedEulas()
        self.on_check, self.on_list = new.on_check, new.on_list
        self.checked, self.listed, self.seconds_left, self.metadata = [], [], [], {}

    async def handle(self, method: str, request: bytes, context: Context) -> bytes:
        """Notes a call and answers it."""
        self.metadata = dict(context.invocation_metadata() or ())
        self.seconds_left.append(context.time_remaining())
        if method == "CheckEulas":
            self.checked.append(api.CheckEulasRequest.FromString(request))
            return await self.on_check(request, context)
        assert method == "ListEulas"
        self.listed.append(api.ListEulasRequest.FromString(request))
        return await self.on_list(request, context)


@asynccontextmanager
async def scripted_eulas(*, port: int = 0) -> AsyncIterator[ScriptedEulas]:
    """Serves for the length of the block, at this port of the loopback address; 0: any free one."""
    scripted = ScriptedEulas()
    server = grpc.aio.server()

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            service, _, method = details.method.lstrip("/").partition("/")
            if service != SERVICE:
                return None  # health is not its own

            async def behaviour(request: bytes, context: Context) -> bytes:
                return await scripted.handle(method, request, context)

            return grpc.unary_unary_rpc_method_handler(behaviour)

    server.add_generic_rpc_handlers((Handlers(),))
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    scripted.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield scripted
    finally:
        await server.stop(None)
