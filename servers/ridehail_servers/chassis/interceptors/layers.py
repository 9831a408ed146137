"""How a call gets from gRPC to the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_interceptor.server import AsyncServerInterceptor

from ridehail_servers.chassis.methods import MethodTable

from .base import Call, Context, Handler, Layer, Method, Request, Response, layered


class LayeredInterceptor(AsyncServerInterceptor):
    """Takes the suite's own calls, all of which are unary, through the layers."""

    def __init__(self, methods: MethodTable, layers: tuple[Layer, ...]) -> None:
        """Puts the layers together.

        Args:
            methods: What is intercepted.
            layers: Outermost first.
        """
        self._methods = methods
        self._handler: Handler = layered(layers)

    async def intercept(self, method: Method, request: Request, context: Context, method_name: str) -> Response:
        """See AsyncServerInterceptor."""
        served = self._methods[method_name]
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        remaining: float | None = context.time_remaining()
        seconds = served.deadline if remaining is None else min(remaining, served.deadline)
        return await self._handler(Call(served, method, context, request, metadata, seconds))


class Registrations:
    """Stands in for a server in the generated `add_..._to_server`, and keeps the handlers that it is given."""

    def __init__(self) -> None:
        self.handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """See grpc.aio.Server."""
        self.handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, object]) -> None:
        """Does nothing: these are the same handlers in another form."""


class LayeredHandlers(grpc.GenericRpcHandler):
    """Handlers that have been intercepted once and for all.

    gRPC asks the interceptors that a server is given to wrap the handler anew for every call. That costs as much as
    several layers do; so the server is given none, and what they would return is made at the start.
    """

    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._handlers = handlers

    @classmethod
    async def made(cls, interceptor: LayeredInterceptor, methods: MethodTable, given: Registrations) -> LayeredHandlers:
        """Intercepts every method.

        Args:
            interceptor: Does it.
            methods: All that are served.
            given: Their implementations.
        """

        async def undecoded(details: _Details) -> grpc.RpcMethodHandler[Any, Any]:
            handler = next(found for one in given.handlers if (found := one.service(details)) is not None)
            assert handler.unary_unary is not None
            return grpc.unary_unary_rpc_method_handler(
                handler.unary_unary, response_serializer=handler.response_serializer
            )

        return cls(
            {
                path: await interceptor.intercept_service(undecoded, _Details(path))  # type: ignore[no-untyped-call]
                for path in methods
            }
        )

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """See grpc.GenericRpcHandler."""
        return self._handlers.get(handler_call_details.method)


@dataclass(frozen=True)
class _Details(grpc.HandlerCallDetails):
    """Names the method that is to be intercepted."""

    method: str
    invocation_metadata: Any = ()  # gRPC's own type
