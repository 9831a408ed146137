"""How a `DomainError` looks on the wire."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf import any  # noqa: A004 - the module's own name
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from .errors import DomainError

DOMAIN = "ridehail"
# Read by grpc_status on the client's side; the name is fixed by gRPC.
STATUS_DETAILS_KEY = "grpc-status-details-bin"
# Read, and removed, by the gateway.
HTTP_STATUS_KEY = "x-http-status"


def status_of(error: DomainError) -> status_pb2.Status:
    """Returns the `google.rpc.Status` with ErrorInfo, and RetryInfo or BadRequest where they apply."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if error.retry_after is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=timedelta(seconds=error.retry_after)))
    if error.violations:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=violation.field, description=violation.description, reason=violation.reason
                    )
                    for violation in error.violations
                ]
            )
        )
    return status_pb2.Status(code=int(error.code), message=error.message, details=map(any.pack, details))


def trailing_metadata_of(error: DomainError) -> tuple[tuple[str, str | bytes], ...]:
    """Returns the trailing metadata that carries the status' details, and the HTTP status where one is set."""
    metadata: tuple[tuple[str, str | bytes], ...] = ((STATUS_DETAILS_KEY, status_of(error).SerializeToString()),)
    if error.http_status is not None:
        metadata += ((HTTP_STATUS_KEY, str(error.http_status)),)
    return metadata
