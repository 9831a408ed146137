"""Errors that callers are meant to see, free of any transport.

Domain code raises a subclass of `DomainError`; the error interceptor alone turns it into a gRPC status. Every reason is
in the catalogue, `proto/ridehail/common/v1/error_reason.proto`, which also says code and HTTP status.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, TypeGuard

from ridehail_kernel.field_violation import FieldViolation

from .error_catalogue import CODE_AND_HTTP_STATUS

if TYPE_CHECKING:
    import psycopg


class Explained(Exception):
    """A failure whose message says all that there is to know: a traceback would only hide it.

    Attributes:
        others: What else is wrong.
    """

    others: Sequence[Explained] = ()


class Code(IntEnum):
    """The canonical status codes (google/rpc/code.proto), so that domain code needs no transport library."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class DomainError(Explained):
    """An error with a documented code and reason.

    Attributes:
        code: The canonical status code, as the catalogue says.
        reason: A value of the catalogue, without its `ERROR_REASON_` prefix.
        message: For people. Holds nothing personal.
        metadata: What programs need beside the reason; the catalogue lists its keys.
        http_status: The HTTP status behind the gateway, where it is not the code's usual one.
        retry_after: Seconds after which a repeat may succeed, or None if it makes no sense.
        violations: The broken rules, of an `INVALID_REQUEST`.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        retry_after: float | None = None,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        super().__init__(message)
        code, self.http_status = CODE_AND_HTTP_STATUS[reason]
        self.code = Code[code]
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.violations = tuple(violations)


# Statuses travel in trailers, which gRPC drops beyond 8 KiB; so not every violation of a hopeless request is sent.
_MAX_VIOLATIONS = 10
_MAX_FIELD_BYTES = 200


class InvalidRequest(DomainError):
    """The request breaks rules of the contract. Carries the first 10 violations."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        shown = [_shortened(violation) for violation in violations[:_MAX_VIOLATIONS]]
        first = f"{shown[0].field or 'request'}: {shown[0].description}"
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__("INVALID_REQUEST", f"invalid request: {first}{more}", violations=shown)


def _shortened(violation: FieldViolation) -> FieldViolation:
    encoded = violation.field.encode()
    if len(encoded) <= _MAX_FIELD_BYTES:
        return violation
    field = encoded[: _MAX_FIELD_BYTES - 3].decode(errors="ignore")
    return FieldViolation(f"{field}...", violation.description, violation.reason)


class Overloaded(DomainError):
    def __init__(self, message: str = "the server is overloaded", *, retry_after: float = 0.2) -> None:
        super().__init__("OVERLOADED", message, retry_after=retry_after)


class DatabaseUnavailable(DomainError):
    """The service's database does not respond, or no connection to it can be made."""

    def __init__(self, *, retry_after: float = 0.2) -> None:
        super().__init__("DATABASE_UNAVAILABLE", "the database is unavailable", retry_after=retry_after)


class DependencyUnavailable(DomainError):
    """A dependency does not respond."""

    def __init__(self, dependency: str, *, retry_after: float = 0.2) -> None:
        super().__init__(
            "NEIGHBOUR_UNAVAILABLE",
            f"{dependency} is unavailable",
            {"neighbour": dependency},
            retry_after=retry_after,
        )


class OrderNotFound(DomainError):
    """There is no such order, or it is another passenger's."""

    def __init__(self, order_id: str) -> None:
        super().__init__("ORDER_NOT_FOUND", "no such order", {"order_id": order_id})


class OrderOwnerMismatch(DomainError):
    """The order belongs to another passenger than the one that it is put or reported for."""

    def __init__(self, order_id: str) -> None:
        super().__init__("ORDER_OWNER_MISMATCH", "the order belongs to another passenger", {"order_id": order_id})


class ResponseTooLarge(DomainError):
    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            "RESPONSE_TOO_LARGE",
            f"the response would be larger than {max_bytes} bytes",
            {"max_bytes": str(max_bytes)},
        )


class DeadlineExceeded(DomainError):
    def __init__(self) -> None:
        super().__init__("DEADLINE_EXCEEDED", "the deadline of the call was exceeded")


class Internal(DomainError):
    """A defect; its cause is in the log only."""

    def __init__(self, request_id: str) -> None:
        super().__init__("INTERNAL", f"internal error, request id {request_id}", {"request_id": request_id})


def is_explained(error: BaseException) -> bool:
    """Returns whether a program that ends by an error should print its message alone."""
    return isinstance(error, Explained | OSError | ValueError) or is_database_error(error)


def is_database_error(error: BaseException) -> TypeGuard[psycopg.Error]:
    """Returns whether an error is one of the database's driver, without loading that."""
    driver = sys.modules.get("psycopg")
    return driver is not None and isinstance(error, driver.Error)
