"""What a failed call raises: one class per reason of the catalogue, and four for calls that no server answered.

The catalogue is `ridehail.common.v1.ErrorReason`; the comments there show each reason's metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import grpc


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One rule of the contract that the request broke.

    Attributes:
        field: Path of the field, as in `order_ids[3]`.
        description: What the field must be, for people.
        reason: Id of the rule, for programs, as in `string.id`.
    """

    field: str
    description: str
    reason: str


class ServiceError(Exception):
    """A call failed.

    Raised as it is when no subclass fits: the server gave no reason, or one that is newer than this library.

    Attributes:
        code: The gRPC status code.
        reason: A value of the catalogue without its `ERROR_REASON_` prefix; empty when the server gave none.
        message: For people; may change.
        metadata: What programs need beside the reason; the catalogue lists each reason's keys.
        retry_after: Seconds after which a repeat may succeed; None when the server did not say.
        violations: The broken rules, when the request was refused.
        request_id: The id under which the server logged the call; empty when it sent none.
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
    """The call's time ran out on this side before an answer came. DEADLINE_EXCEEDED, no reason."""


class ClientClosed(ServiceError):
    """The client was closed before the call got its answer, or before it began. CANCELLED, no reason."""


class InvalidRequest(ServiceError):
    """The request breaks a rule of the contract; `violations` names each field and rule. INVALID_ARGUMENT."""

    REASON = "INVALID_REQUEST"


class TicketMissing(ServiceError):
    """The call had no service ticket. UNAUTHENTICATED."""

    REASON = "TICKET_MISSING"


class TicketInvalid(ServiceError):
    """The service ticket cannot be read, or its signature or lifetime is not accepted. UNAUTHENTICATED."""

    REASON = "TICKET_INVALID"


class TicketExpired(ServiceError):
    """The service ticket was good once; a new one is needed. UNAUTHENTICATED."""

    REASON = "TICKET_EXPIRED"


class TicketWrongDestination(ServiceError):
    """The service ticket is for another service than the called one, `metadata["service"]`. UNAUTHENTICATED."""

    REASON = "TICKET_WRONG_DESTINATION"


class CallerNotAllowed(ServiceError):
    """The ticket's source, `metadata["caller"]`, may not call `metadata["method"]`. PERMISSION_DENIED."""

    REASON = "CALLER_NOT_ALLOWED"


class PassengerMissing(ServiceError):
    """A passenger method was called without the passenger that the gateway names. UNAUTHENTICATED."""

    REASON = "PASSENGER_MISSING"


class SessionMissing(ServiceError):
    """The gateway got no session token. UNAUTHENTICATED."""

    REASON = "SESSION_MISSING"


class SessionInvalid(ServiceError):
    """The session token cannot be read, or its signature is not accepted. UNAUTHENTICATED."""

    REASON = "SESSION_INVALID"


class SessionExpired(ServiceError):
    """The session token was good once; the passenger has to get a new one. UNAUTHENTICATED."""

    REASON = "SESSION_EXPIRED"


class Overloaded(ServiceError):
    """The server has as many calls under way as it takes. RESOURCE_EXHAUSTED, with `retry_after`."""

    REASON = "OVERLOADED"


class RateLimited(ServiceError):
    """The gateway lets no more calls of this passenger or address pass. RESOURCE_EXHAUSTED, with `retry_after`."""

    REASON = "RATE_LIMITED"


class DatabaseUnavailable(ServiceError):
    """The service's database does not answer. UNAVAILABLE, with `retry_after`."""

    REASON = "DATABASE_UNAVAILABLE"


class NeighbourUnavailable(ServiceError):
    """A service that the called one needs does not answer: `metadata["neighbour"]`. UNAVAILABLE, with `retry_after`."""

    REASON = "NEIGHBOUR_UNAVAILABLE"


class DeadlineExceeded(ServiceError):
    """The server answered that it ran out of time; see `CallTimedOut` for no answer in time. DEADLINE_EXCEEDED."""

    REASON = "DEADLINE_EXCEEDED"


class InternalError(ServiceError):
    """A defect of the server, logged there under `metadata["request_id"]`. INTERNAL."""

    REASON = "INTERNAL"


class OrderNotFound(ServiceError):
    """There is no order `metadata["order_id"]`, or it is another passenger's. NOT_FOUND."""

    REASON = "ORDER_NOT_FOUND"


class OrderVersionConflict(ServiceError):
    """The order's document is at `metadata["current_version"]`, not at the version that was expected. ABORTED."""

    REASON = "ORDER_VERSION_CONFLICT"


class OrderFieldTypeMismatch(ServiceError):
    """The document holds a value of another kind at `metadata["path"]` than the update needs. FAILED_PRECONDITION."""

    REASON = "ORDER_FIELD_TYPE_MISMATCH"


class RoadSwitchNotAllowed(ServiceError):
    """The road of the order `metadata["order_id"]` cannot be switched. FAILED_PRECONDITION."""

    REASON = "ROAD_SWITCH_NOT_ALLOWED"


class RoadSwitchConflict(ServiceError):
    """The order `metadata["order_id"]` has a switch of exactly this moment to the other road. ALREADY_EXISTS."""

    REASON = "ROAD_SWITCH_CONFLICT"


class PriceChangesOutOfOrder(ServiceError):
    """The switch would reset the price of the order `metadata["order_id"]` before an earlier reset.

    FAILED_PRECONDITION.
    """

    REASON = "PRICE_CHANGES_OUT_OF_ORDER"


class GatewayKeyInvalid(ServiceError):
    """The passenger authorizer was called without the gateway's key. UNAUTHENTICATED."""

    REASON = "GATEWAY_KEY_INVALID"


class EulaNotFound(ServiceError):
    """There is no agreement `metadata["eula_id"]` in the configuration. NOT_FOUND."""

    REASON = "EULA_NOT_FOUND"


class EulaNotRejectable(ServiceError):
    """The agreement `metadata["eula_id"]` can be accepted or left unanswered, but not rejected. FAILED_PRECONDITION."""

    REASON = "EULA_NOT_REJECTABLE"


class OrderOwnerMismatch(ServiceError):
    """The order `metadata["order_id"]` is another passenger's than the one it is put or reported for.

    FAILED_PRECONDITION.
    """

    REASON = "ORDER_OWNER_MISMATCH"


class ServiceNotFound(ServiceError):
    """No service `metadata["service"]` keeps orders. NOT_FOUND."""

    REASON = "SERVICE_NOT_FOUND"


class NotInFamily(ServiceError):
    """The ride is to be shared with the rider's family, but the rider is in none. FAILED_PRECONDITION."""

    REASON = "NOT_IN_FAMILY"


class SharingKeyConflict(ServiceError):
    """The sharing key given for the order `metadata["order_id"]` is that of another order. ALREADY_EXISTS."""

    REASON = "SHARING_KEY_CONFLICT"


class SharingKeyNotFound(ServiceError):
    """There is no such sharing key, or the ride is not shared with the passenger. NOT_FOUND."""

    REASON = "SHARING_KEY_NOT_FOUND"


class FamilyNotFound(ServiceError):
    """There is no such family, or the rider is in none. NOT_FOUND."""

    REASON = "FAMILY_NOT_FOUND"


class AlreadyInFamily(ServiceError):
    """The rider is in a family already. ALREADY_EXISTS."""

    REASON = "ALREADY_IN_FAMILY"


class FamilyFull(ServiceError):
    """The family has as many members as a family can have, `metadata["max_members"]`. FAILED_PRECONDITION."""

    REASON = "FAMILY_FULL"


class FamilyAdminNotRemovable(ServiceError):
    """The family's admin cannot be removed from it. FAILED_PRECONDITION."""

    REASON = "FAMILY_ADMIN_NOT_REMOVABLE"


class RevisionConflict(ServiceError):
    """The personal state is of revision `metadata["current_revision_id"]`, not of the expected one. ABORTED."""

    REASON = "REVISION_CONFLICT"


class JsonMismatch(ServiceError):
    """Two back ends answered the same request differently. ABORTED.

    `metadata["paths"]` is a JSON array of the JSON pointers to where, the first 100; `metadata["truncated"]` is "true"
    when there are more; `metadata["statuses"]` is "same" or "differ".
    """

    REASON = "JSON_MISMATCH"


class PersonalStateTooLarge(ServiceError):
    """The personal state would exceed `max_bytes`, `max_tariffs` or `max_values` of `metadata`. FAILED_PRECONDITION."""

    REASON = "PERSONAL_STATE_TOO_LARGE"


class ResponseTooLarge(ServiceError):
    """The response would be larger than `metadata["max_bytes"]`: ask for less. OUT_OF_RANGE."""

    REASON = "RESPONSE_TOO_LARGE"


ERRORS_BY_REASON: Mapping[str, type[ServiceError]] = MappingProxyType(
    {
        error.REASON: error
        for error in (
            InvalidRequest,
            TicketMissing,
            TicketInvalid,
            TicketExpired,
            TicketWrongDestination,
            CallerNotAllowed,
            PassengerMissing,
            SessionMissing,
            SessionInvalid,
            SessionExpired,
            Overloaded,
            RateLimited,
            DatabaseUnavailable,
            NeighbourUnavailable,
            DeadlineExceeded,
            InternalError,
            OrderNotFound,
            OrderVersionConflict,
            OrderFieldTypeMismatch,
            GatewayKeyInvalid,
            RoadSwitchNotAllowed,
            RoadSwitchConflict,
            PriceChangesOutOfOrder,
            EulaNotFound,
            EulaNotRejectable,
            OrderOwnerMismatch,
            ServiceNotFound,
            NotInFamily,
            SharingKeyConflict,
            SharingKeyNotFound,
            FamilyNotFound,
            AlreadyInFamily,
            FamilyFull,
            FamilyAdminNotRemovable,
            RevisionConflict,
            JsonMismatch,
            PersonalStateTooLarge,
            ResponseTooLarge,
        )
    }
)
"""The class of each reason of the catalogue."""
