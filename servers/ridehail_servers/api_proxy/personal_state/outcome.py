"""What became of a call of a back end of personal states."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from ridehail_clients import ComparedKind, PersonalState, ServiceError
from ridehail_kernel.json_values import JsonObject
from ridehail_servers.chassis.errors import Code, DomainError

_OK: Final = 200
# Errors that are the request's own fault: another back end has to answer them alike.
_HTTP_STATUSES: Final = MappingProxyType(
    {
        Code.INVALID_ARGUMENT: 400,
        Code.FAILED_PRECONDITION: 400,
        Code.NOT_FOUND: 404,
        Code.ALREADY_EXISTS: 409,
        Code.ABORTED: 409,
    }
)
_ANSWERS: Final = MappingProxyType({code.name: code for code in _HTTP_STATUSES})
# What our servers answer before the call reaches its handler, or while the handler waits for its only connection to the
# database. DATABASE_UNAVAILABLE is none of them: it is raised at the commit as well.
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
class Answered:
    """The back end did its work.

    Attributes:
        status: As HTTP has it.
        body: As JSON: the state, or of an error its code, reason and metadata.
        error: What the rider is answered instead of a state; None: the body is a state.
    """

    status: int
    body: JsonObject
    error: DomainError | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The back end did not answer, or not to the request.

    Attributes:
        reason: Of the catalogue, or the name of a code.
        is_nothing_written: Whether a write has certainly not been and will not be carried out.
    """

    reason: str
    is_nothing_written: bool = False


Outcome: TypeAlias = Answered | Unanswered

NOT_CONNECTED: Final = Unanswered("NOT_CONNECTED", is_nothing_written=True)
"""The call was not made."""


def answered_with(state: PersonalState) -> Answered:
    """Returns the outcome of a call that succeeded.

    Args:
        state: The answer.
    """
    return Answered(_OK, state.body)


def failed_with(error: ServiceError) -> Outcome:
    """Returns the outcome of a call that failed.

    Args:
        error: As the client library raised it.
    """
    code = _ANSWERS.get(error.code.name)
    # Without a reason of the catalogue it was not a back end that spoke.
    if code is None or not error.REASON:
        return Unanswered(error.REASON or error.code.name, error.REASON in _BEFORE_ANY_WRITE)
    told = DomainError(
        error.reason,
        error.message,
        error.metadata,
        retry_after=error.retry_after,
        violations=error.violations,
    )
    body: JsonObject = {"code": code.name, "reason": error.reason, "metadata": dict(error.metadata)}
    return Answered(_HTTP_STATUSES[code], body, told)


def may_fall_back(kind: ComparedKind, outcome: Outcome) -> bool:
    """Tells whether the old back end may answer in place of the new one.

    A read may be repeated anywhere. A write that another back end may have carried out must not be made twice.

    Args:
        kind: Of the request.
        outcome: Of the call of the new back end.
    """
    return isinstance(outcome, Unanswered) and (kind is ComparedKind.READ or outcome.is_nothing_written)
