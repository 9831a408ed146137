"""Refuses calls as overloaded for next to nothing: when there are too many, refusals must not be what keeps busy."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import grpc

from ridehail_kernel.metadata_keys import REQUEST_ID_KEY
from ridehail_servers.chassis.errors import Overloaded
from ridehail_servers.chassis.methods import ServedMethod
from ridehail_servers.chassis.status import trailing_metadata_of

from .base import Context, RpcHandler
from .telemetry import report_call, request_id_from

_ERROR = Overloaded()
_DETAILS = trailing_metadata_of(_ERROR)


def refusing_handler(served: ServedMethod) -> RpcHandler:
    """Returns a handler that refuses every call of a method.

    To gRPC both sides are streams. It does not read the request, so a call is refused before that has arrived. And it
    writes no response: of a unary response gRPC sends an empty one beside the error, which the gateway would translate.
    """

    async def refuse(_requests: AsyncIterator[bytes], context: Context) -> None:
        began = time.monotonic()
        request_id = request_id_from(dict(context.invocation_metadata() or ()).get(REQUEST_ID_KEY))
        # Not `abort`: that raises, which costs as much as all the rest.
        context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
        context.set_details(_ERROR.message)
        context.set_trailing_metadata(((REQUEST_ID_KEY, request_id), *_DETAILS))
        report_call(served, "RESOURCE_EXHAUSTED", _ERROR.reason, time.monotonic() - began)

    return grpc.stream_stream_rpc_method_handler(refuse)
