"""Refuses calls beyond what the process can have under way."""

from __future__ import annotations

from ridehail_servers.chassis.errors import Overloaded
from ridehail_servers.chassis.methods import MethodTable, ServedMethod

from .base import CallInterceptor, Context, Handler, Request, Response


class OverloadInterceptor(CallInterceptor):
    """Counts the calls under way.

    gRPC's own `maximum_concurrent_rpcs` would refuse health checks as well, and so turn a busy server into a dead one.
    """

    def __init__(self, methods: MethodTable, *, limit: int) -> None:
        """Prepares the limiter.

        Args:
            methods: What is counted.
            limit: Calls under way at most.
        """
        super().__init__(methods)
        self._limit = limit
        self.in_flight = 0

    async def around(self, handler: Handler, request: Request, context: Context, served: ServedMethod) -> Response:  # noqa: ARG002
        """See CallInterceptor."""
        if self.in_flight >= self._limit:
            raise Overloaded
        self.in_flight += 1
        try:
            return await handler(request, context)
        finally:
            self.in_flight -= 1
