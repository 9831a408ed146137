"""How a call gets from gRPC to the layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc
from grpc_interceptor.server import AsyncServerInterceptor

from ridehail_kernel.metadata_keys import TICKET_KEY
from ridehail_servers.chassis import tickets
from ridehail_servers.chassis.methods import MethodTable, ServedMethod
from ridehail_servers.chassis.transport import MethodHandlers

from .base import Call, Context, Handler, Layer, Method, Request, Response, RpcHandler, layered
from .overload import Admission
from .refusal import refusing_handler


class LayeredInterceptor(AsyncServerInterceptor):
    """Takes the calls of one method through the layers. All methods of the suite are unary."""

    def __init__(self, served: ServedMethod, handler: Handler) -> None:
        self._served = served
        self._handler = handler

    async def intercept(self, method: Method, request: Request, context: Context, method_name: str) -> Response:  # noqa: ARG002
        served = self._served
        remaining: float | None = context.time_remaining()
        seconds = served.deadline if remaining is None else min(remaining, served.deadline)
        metadata = _texts(context.invocation_metadata())
        return await self._handler(Call(served, method, context, request, metadata, seconds))


class Registrations:
    """Stands in for a server in the generated `add_..._to_server`: keeps the handlers of one service of the suite."""

    def __init__(self, methods: MethodTable) -> None:
        self.methods = methods
        self._handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, object]) -> None:
        """Does nothing: these are the same handlers in another form."""

    def handler(self, path: str) -> RpcHandler:
        """Returns the handler of a method, which is given the request undecoded."""
        handler = next(found for one in self._handlers if (found := one.service(_Details(path))) is not None)
        assert handler.unary_unary is not None
        return grpc.unary_unary_rpc_method_handler(handler.unary_unary, response_serializer=handler.response_serializer)


class GuardedHandler(NamedTuple):
    """Handles the calls of one method of one service, or refuses them as overloaded, as the admission decides."""

    handler: RpcHandler
    refusing: RpcHandler
    admission: Admission


class LayeredHandlers(MethodHandlers):
    """Handlers that have been intercepted once and for all.

    gRPC asks the interceptors that a server is given to wrap the handler anew for every call. That costs as much as
    several layers do; so the server is given none, and what they would return is created at the start.

    Services of the suite that serve the same contract differ by the destination that the call's ticket claims.
    Nothing is verified here: the claim only chooses the service, whose own layers then judge the ticket. A call that
    claims none of them is for the first one to refuse.

    A call that is refused whatever it is gets a handler that does nothing else, and does not even read the request.
    """

    def __init__(self, handlers: Mapping[str, Mapping[str, GuardedHandler]]) -> None:
        """Takes the handlers by path, then by service of the suite."""
        # Nearly all methods have one service; their calls do not pay for the choice.
        self._only = {path: next(iter(services.values())) for path, services in handlers.items() if len(services) == 1}
        self._shared = {path: services for path, services in handlers.items() if len(services) > 1}

    @classmethod
    async def create(
        cls,
        layers: tuple[Layer, ...],
        registrations: Sequence[Registrations],
        admissions: Mapping[str, Admission],
    ) -> LayeredHandlers:
        """Intercepts every method."""
        around = layered(layers)
        handlers: dict[str, dict[str, GuardedHandler]] = {}
        for registered in registrations:
            for path, served in registered.methods.items():
                intercepted = await _intercepted(LayeredInterceptor(served, around), path, registered.handler(path))
                guarded = GuardedHandler(intercepted, refusing_handler(served), admissions[served.service])
                handlers.setdefault(path, {})[served.service] = guarded
        return cls(handlers)

    @property
    def paths(self) -> Collection[str]:
        return [*self._only, *self._shared]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> RpcHandler | None:
        path: str = handler_call_details.method
        guarded = self._only.get(path)
        if guarded is None:
            if (services := self._shared.get(path)) is None:
                return None
            ticket = _texts(handler_call_details.invocation_metadata).get(TICKET_KEY)
            guarded = services.get(tickets.claimed_destination(ticket)) or next(iter(services.values()))
        cause = guarded.admission.refusal()
        if cause is None:
            return guarded.handler
        guarded.admission.count(cause)
        return guarded.refusing


async def _intercepted(interceptor: LayeredInterceptor, path: str, handler: RpcHandler) -> RpcHandler:
    async def the_handler(_details: _Details) -> RpcHandler:
        return handler

    intercepted: RpcHandler = await interceptor.intercept_service(the_handler, _Details(path))  # type: ignore[no-untyped-call]
    return intercepted


def _texts(metadata: Any) -> dict[str, str]:  # gRPC's own type
    """Returns the textual metadata; of a repeated key the last value."""
    return {key: value for key, value in metadata or () if isinstance(value, str)}


@dataclass(frozen=True)
class _Details(grpc.HandlerCallDetails):
    method: str
    invocation_metadata: Any = ()  # gRPC's own type
