"""The one place where errors become statuses."""

from __future__ import annotations

import asyncio

import grpc

from ridehail_kernel import call_context
from ridehail_servers.chassis.errors import DomainError, Internal
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.status import trailing_metadata_of

from .base import Call, Handler, Layer, Response

logger = get_logger(__name__)
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Errors(Layer):
    """Fails calls with the status of a `DomainError`, or for anything else with INTERNAL and the request id alone."""

    async def around(self, call: Call, inner: Handler) -> Response:
        try:
            return await inner(call)
        except DomainError as error:
            reported = error
        except (asyncio.CancelledError, grpc.aio.AbortError):  # the latter: the handler has ended the call by itself
            raise
        except Exception as error:
            reported = Internal(call_context.request_id() or "")
            logger.error("unexpected error", method=call.served.name, exc_info=error)
        call.status = reported.code.name
        call.reason = reported.reason
        trailing = (*(call.context.trailing_metadata() or ()), *trailing_metadata_of(reported))
        return await call.context.abort(_STATUS_CODES[int(reported.code)], reported.message, trailing)
