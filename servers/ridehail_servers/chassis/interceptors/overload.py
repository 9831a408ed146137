"""Refuses calls beyond what the process can have under way."""

from __future__ import annotations

from ridehail_servers.chassis.errors import Overloaded

from .base import Call, Handler, Layer, Response


class OverloadLimit(Layer):
    """Counts the calls under way.

    gRPC's own `maximum_concurrent_rpcs` would refuse health checks as well, and so turn a busy server into a dead one.
    """

    def __init__(self, limit: int) -> None:
        """Prepares the limiter.

        Args:
            limit: Calls under way at most.
        """
        self._limit = limit
        self.in_flight = 0

    async def around(self, call: Call, inner: Handler) -> Response:
        """See Layer."""
        if self.in_flight >= self._limit:
            raise Overloaded
        self.in_flight += 1
        try:
            return await inner(call)
        finally:
            self.in_flight -= 1
