"""No call takes longer than its caller waits, nor than its contract allows."""

from __future__ import annotations

import asyncio
import time

from ridehail_clients import call_context
from ridehail_servers.chassis.errors import DeadlineExceeded
from ridehail_servers.chassis.methods import ServedMethod

from .base import CallInterceptor, Context, Handler, Request, Response


class DeadlineInterceptor(CallInterceptor):
    """Bounds the handler by the caller's deadline and the contract's, and hands the bound on to outgoing calls."""

    async def around(self, handler: Handler, request: Request, context: Context, served: ServedMethod) -> Response:
        """See CallInterceptor."""
        remaining: float | None = context.time_remaining()
        seconds = served.deadline if remaining is None else min(remaining, served.deadline)
        try:
            async with asyncio.timeout(seconds) as bound:
                with call_context.call_context(deadline=time.monotonic() + seconds):
                    return await handler(request, context)
        except TimeoutError:
            if not bound.expired():
                raise
            raise DeadlineExceeded from None
