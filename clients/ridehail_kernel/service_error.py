"""What every failed call raises, and what is raised for calls to which no server responded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import grpc

from ridehail_kernel.field_violation import FieldViolation


class ServiceError(Exception):
    """A call failed.

    Raised as it is when no subclass fits: the server gave no reason, or one that is newer than this library.

    Attributes:
        code: The gRPC status code.
        reason: A value of the catalogue without its `ERROR_REASON_` prefix; empty if the server gave none.
        message: For people; may change.
        metadata: What programs need beside the reason; the catalogue lists each reason's keys.
        retry_after: Seconds after which a repeat may succeed, or None if the server gave none.
        violations: The broken rules, when the request was refused.
        request_id: The id under which the server logged the call; empty if it sent none.
    """

    REASON: ClassVar[str] = ""

    def __init__(  # noqa: PLR0917  # pickling passes them by position
        self,
        code: grpc.StatusCode,
        reason: str = "",
        message: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        violations: Sequence[FieldViolation] = (),
        request_id: str = "",
    ) -> None:
        # `args` is what `__reduce__` rebuilds the error from.
        super().__init__(code, reason, message, dict(metadata or {}), retry_after, tuple(violations), request_id)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))
        self.retry_after = retry_after
        self.violations = tuple(violations)
        self.request_id = request_id

    def __reduce__(self) -> tuple[type[ServiceError], tuple[object, ...]]:
        return type(self), self.args

    def __str__(self) -> str:
        name = f"{self.code.name} {self.reason}".rstrip()
        suffix = f" (request id {self.request_id})" if self.request_id else ""
        return f"{name}: {self.message}{suffix}"


class TransportUnavailable(ServiceError):
    """No server took the call: connection refused or lost, none healthy, name not found. UNAVAILABLE, no reason."""


class BreakerOpen(TransportUnavailable):
    """No attempt was made: the method's last ones timed out, and its breaker is open. UNAVAILABLE, no reason."""


class CallTimedOut(ServiceError):
    """The call's time ran out on this side before a response came. DEADLINE_EXCEEDED, no reason."""


class ClientClosed(ServiceError):
    """The client was closed before the call got its response, or before it began. CANCELLED, no reason."""
