"""Turns what gRPC raises into this library's errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from ridehail_clients.errors import ERRORS_BY_REASON, CallTimedOut, FieldViolation, ServiceError, TransportUnavailable
from ridehail_kernel.metadata_keys import REQUEST_ID_KEY

_DOMAIN: Final = "ridehail"
_STATUS_KEY: Final = "grpc-status-details-bin"
_ERRORS_WITHOUT_REASON: Final = {
    grpc.StatusCode.UNAVAILABLE: TransportUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: CallTimedOut,
}


@dataclass(slots=True)
class _Details:
    """The details of a status; empty where the server sent none."""

    info: ErrorInfo
    retry: RetryInfo | None
    request: BadRequest


def service_error(error: grpc.RpcError) -> ServiceError:
    """Returns the error to raise for one that a stub raised, of a blocking or an asyncio channel alike.

    It is of the class of the reason that the server gave; without a reason `TransportUnavailable`, `CallTimedOut` or
    plain `ServiceError`.
    """
    details = _details(_trailing(error, _STATUS_KEY))
    code = error.code()
    reason = details.info.reason
    known = ERRORS_BY_REASON.get(reason, ServiceError) if reason else _ERRORS_WITHOUT_REASON.get(code, ServiceError)
    return known(
        code=code,
        reason=reason,
        message=error.details() or "",
        metadata=details.info.metadata,
        retry_after=None if details.retry is None else details.retry.retry_delay.ToTimedelta().total_seconds(),
        violations=[FieldViolation(one.field, one.description, one.reason) for one in details.request.field_violations],
        request_id=str(_trailing(error, REQUEST_ID_KEY) or ""),
    )


def _trailing(error: grpc.RpcError, name: str) -> str | bytes | None:
    # Both flavours give pairs, though by the type information only one of them does.
    pairs = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    return next((value for key, value in pairs if key == name), None)


def _details(serialised: str | bytes | None) -> _Details:
    found = _Details(ErrorInfo(), None, BadRequest())
    if not isinstance(serialised, bytes):
        return found
    try:
        for packed in Status.FromString(serialised).details:
            _take(packed, found)
    except DecodeError:
        # A proxy on the way may have cut the metadata; the code alone still says what happened.
        return _Details(ErrorInfo(), None, BadRequest())
    return found


def _take(packed: AnyMessage, found: _Details) -> None:
    info, retry, request = ErrorInfo(), RetryInfo(), BadRequest()
    # Another domain's reasons are not of our catalogue, even when they are spelt alike.
    if packed.Unpack(info) and info.domain == _DOMAIN:
        found.info = info
    elif packed.Unpack(retry):
        found.retry = retry
    elif packed.Unpack(request):
        found.request = request
