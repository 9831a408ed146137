"""What the interceptors have in common."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_interceptor.server import AsyncServerInterceptor

from ridehail_servers.chassis.methods import MethodTable, ServedMethod

# Requests and answers are messages of any type.
Request = Any
Response = Any
Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Request, Context], Awaitable[Response]]


class CallInterceptor(AsyncServerInterceptor, abc.ABC):
    """An interceptor of the suite's own methods, all of which are unary; health and reflection pass it untouched."""

    def __init__(self, methods: MethodTable) -> None:
        """Prepares the interceptor.

        Args:
            methods: What it intercepts.
        """
        self._methods = methods

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:  # grpc.aio's own types
        """See grpc.aio.ServerInterceptor."""
        if handler_call_details.method not in self._methods:
            return await continuation(handler_call_details)
        return await super().intercept_service(continuation, handler_call_details)  # type: ignore[no-untyped-call]

    async def intercept(self, method: Handler, request: Request, context: Context, method_name: str) -> Response:
        """See AsyncServerInterceptor."""
        return await self.around(method, request, context, self._methods[method_name])

    @abc.abstractmethod
    async def around(self, handler: Handler, request: Request, context: Context, served: ServedMethod) -> Response:
        """Does something before, after or instead of the rest of the call.

        Args:
            handler: The next interceptor, or the method's implementation.
            request: The request message.
            context: Of the call.
            served: What is known of the method.
        """


def metadata_of(context: Context) -> dict[str, str]:
    """Returns the call's textual metadata; of a repeated key the last value.

    Args:
        context: Of the call.
    """
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
