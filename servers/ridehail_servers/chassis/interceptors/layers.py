"""The one interceptor that gRPC sees."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_interceptor.server import AsyncServerInterceptor

from ridehail_servers.chassis.methods import MethodTable

from .base import Call, Context, Handler, Layer, Method, Request, Response, layered


class LayeredInterceptor(AsyncServerInterceptor):
    """Takes the suite's own calls, all of which are unary, through the layers; health and reflection pass untouched.

    gRPC asks each of its interceptors to wrap the handler anew for every call, which costs more than what most layers
    do. So it gets only this one, which wraps each method once.
    """

    def __init__(self, methods: MethodTable, layers: tuple[Layer, ...]) -> None:
        """Puts the layers together.

        Args:
            methods: What is intercepted.
            layers: Outermost first.
        """
        self._methods = methods
        self._handler: Handler = layered(layers)
        self._wrapped: dict[str, Any] = {}  # gRPC's own type of handlers

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:  # grpc.aio's own types
        """See grpc.aio.ServerInterceptor."""
        path = handler_call_details.method
        if path in self._wrapped:
            return self._wrapped[path]
        if path not in self._methods:
            return await continuation(handler_call_details)

        async def undecoded(details: Any) -> Any:  # grpc.aio's own types
            handler = await continuation(details)
            return grpc.unary_unary_rpc_method_handler(
                handler.unary_unary, response_serializer=handler.response_serializer
            )

        wrapped = await super().intercept_service(undecoded, handler_call_details)  # type: ignore[no-untyped-call]
        self._wrapped[path] = wrapped
        return wrapped

    async def intercept(self, method: Method, request: Request, context: Context, method_name: str) -> Response:
        """See AsyncServerInterceptor."""
        served = self._methods[method_name]
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        remaining: float | None = context.time_remaining()
        seconds = served.deadline if remaining is None else min(remaining, served.deadline)
        return await self._handler(Call(served, method, context, request, metadata, seconds))
