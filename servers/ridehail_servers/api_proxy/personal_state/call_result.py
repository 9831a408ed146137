"""Results of calls to a back end of personal states."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from ridehail_clients import ComparedKind, PersonalState, ServiceError
from ridehail_kernel.json_values import JsonObject
from ridehail_servers.chassis.errors import Code, DomainError

_OK: Final = 200
# Errors that are the request's own fault: another back end has to respond alike.
_HTTP_STATUSES: Final = MappingProxyType(
    {
        Code.INVALID_ARGUMENT: 400,
        Code.FAILED_PRECONDITION: 400,
        Code.NOT_FOUND: 404,
        Code.ALREADY_EXISTS: 409,
        Code.ABORTED: 409,
    }
)
_RESPONSES: Final = MappingProxyType({code.name: code for code in _HTTP_STATUSES})
# What our servers respond before the call reaches its handler, or while the handler waits for its only connection to
# the database. DATABASE_UNAVAILABLE is none of them: it is raised at the commit as well.
_BEFORE_ANY_WRITE: Final = frozenset(
    {
        "CALLER_NOT_ALLOWED",
        "OVERLOADED",
        "TICKET_EXPIRED",
        "TICKET_INVALID",
        "TICKET_MISSING",
        "TICKET_WRONG_DESTINATION",
    }
)


@dataclass(frozen=True, slots=True)
class BackEndResponse:
    """The response of a back end that did its work.

    Attributes:
        status: As HTTP has it.
        body: As JSON: the state, or of an error its code, reason and metadata.
        error: What the rider receives instead of a state, or None if the body is a state.
    """

    status: int
    body: JsonObject
    error: DomainError | None = None


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The back end did not respond, or not to the request.

    Attributes:
        reason: Of the catalogue, or the name of a code.
        is_nothing_written: Whether a write has certainly not been and will not be carried out.
    """

    reason: str
    is_nothing_written: bool = False


CallResult: TypeAlias = BackEndResponse | NoResponse

NOT_CONNECTED: Final = NoResponse("NOT_CONNECTED", is_nothing_written=True)
"""The call was not made."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The responses of both back ends to one request.

    Attributes:
        request_id: As logs name it.
        kind: Of the request.
        old: The old back end's response.
        new: The new back end's response.
    """

    request_id: str
    kind: ComparedKind
    old: BackEndResponse
    new: BackEndResponse


def success(state: PersonalState) -> BackEndResponse:
    """Returns the result of a call that succeeded."""
    return BackEndResponse(_OK, state.body)


def failure(error: ServiceError) -> CallResult:
    """Returns the result of a call that failed."""
    code = _RESPONSES.get(error.code.name)
    # Without a reason of the catalogue the error is not a back end's.
    if code is None or not error.REASON:
        return NoResponse(error.REASON or error.code.name, error.REASON in _BEFORE_ANY_WRITE)
    passed_on = DomainError(
        error.reason,
        error.message,
        error.metadata,
        retry_after=error.retry_after,
        violations=error.violations,
    )
    body: JsonObject = {"code": code.name, "reason": error.reason, "metadata": dict(error.metadata)}
    return BackEndResponse(_HTTP_STATUSES[code], body, passed_on)


def may_fall_back(kind: ComparedKind, result: CallResult) -> bool:
    """Returns whether the old back end may be called in place of the new one, whose result this is.

    A read may be repeated anywhere. A write that another back end may have carried out must not be made twice.
    """
    return isinstance(result, NoResponse) and (kind is ComparedKind.READ or result.is_nothing_written)
