"""The one place where errors become statuses."""

from __future__ import annotations

import asyncio

import grpc

from ridehail_clients import call_context
from ridehail_servers.chassis.errors import DomainError, Internal
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.methods import ServedMethod
from ridehail_servers.chassis.status import trailing_metadata_of

from .base import CallInterceptor, Context, Handler, Request, Response
from .telemetry import current_record

logger = get_logger(__name__)
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class ErrorInterceptor(CallInterceptor):
    """Answers a `DomainError` with its status, and anything else with INTERNAL and nothing but the request id."""

    async def around(self, handler: Handler, request: Request, context: Context, served: ServedMethod) -> Response:
        """See CallInterceptor."""
        try:
            return await handler(request, context)
        except DomainError as error:
            answer = error
        except (asyncio.CancelledError, grpc.aio.AbortError):  # the latter: the handler has answered by itself
            raise
        except Exception as error:
            answer = Internal(call_context.request_id() or "")
            logger.error("unexpected error", method=served.name, exc_info=error)
        record = current_record()
        record.status = answer.code.name
        record.reason = answer.reason
        trailing = (*(context.trailing_metadata() or ()), *trailing_metadata_of(answer))
        return await context.abort(_STATUS_CODES[int(answer.code)], answer.message, trailing)
