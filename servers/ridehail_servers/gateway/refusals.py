"""Errors of the services' catalogue that the gateway raises itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import json_format
from google.rpc import error_details_pb2  # noqa: F401 - its messages become JSON below

from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import DomainError, InvalidRequest
from ridehail_servers.chassis.status import status_of

# Buckets are filled every second, so a token is there after one.
RETRY_AFTER_S: Final = 1


class RateLimited(DomainError):
    """The caller makes too many requests."""

    def __init__(self) -> None:
        super().__init__("RATE_LIMITED", "too many requests, try again later", retry_after=RETRY_AFTER_S)


@dataclass(frozen=True, slots=True)
class RefusalText:
    """An error as the gateway writes it.

    Attributes:
        json: The body for callers with JSON.
        details: For native gRPC callers: the value of `grpc-status-details-bin`.
    """

    message: str
    json: dict[str, Any]  # JSON
    details: str


def _refusal_text(error: DomainError) -> RefusalText:
    status = status_of(error)
    return RefusalText(
        message=error.message,
        json=json_format.MessageToDict(
            status, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        ),
        details=base64.b64encode(status.SerializeToString()).decode(),
    )


RATE_LIMITED: Final = _refusal_text(RateLimited())
TOO_MANY_VALUES: Final = _refusal_text(
    InvalidRequest([FieldViolation("", "must have fewer values in all", "request.values")])
)
