"""Which failures mean that the service is unavailable, so that its consumers do without it."""

from __future__ import annotations

from typing import Final

import grpc

from ridehail_kernel.service_error import ClientClosed, ServiceError

_UNAVAILABLE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        # A defect of the server, or of a proxy on the way. To callers it is the same as an outage.
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
    }
)


def is_unavailable(error: ServiceError) -> bool:
    """Returns whether a call failed because the service is unavailable.

    That is: no response (in time), a server that is overloaded, shuts down or cannot reach what it needs, or a defect
    on the other side. Every other error is about the request or the caller (not found, refused, not allowed, no such
    method): it comes again however often the call is made. So does the use of a closed client.
    """
    return error.code in _UNAVAILABLE and not isinstance(error, ClientClosed)
