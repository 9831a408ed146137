"""Results of calls to dependencies, the other services that a service needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from ridehail_clients import ServiceError

from .errors import DependencyUnavailable

Response = TypeVar("Response")


class ResponseUnreadable(Exception):
    """A dependency's response breaks its contract."""


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why a call failed: a reason of the catalogue, the name of a status code, `UNREADABLE` or `UNEXPECTED`."""

    reason: str
    error: Exception | None = None


async def call_dependency(call: Awaitable[Response]) -> Response | CallFailure:
    """Awaits a call that its caller can do without, and returns its response or why it failed."""
    try:
        return await call
    except Exception as error:  # whatever garbage makes the client library do is no reason to fail the caller
        return call_failure(error)


def call_failure(error: Exception) -> CallFailure:
    """Classifies what a call to a dependency raised."""
    if isinstance(error, ServiceError):
        # The reasons of the catalogue are few; what another server calls its reason may be anything.
        return CallFailure(error.REASON or error.code.name)
    if isinstance(error, ResponseUnreadable):
        return CallFailure("UNREADABLE")
    return CallFailure("UNEXPECTED", error)


@contextmanager
def required_dependency(
    name: str,
    errors: Mapping[type[ServiceError], Callable[[], Exception]],
    *,
    defects: tuple[type[ServiceError], ...] = (),
) -> Iterator[None]:
    """Translates the errors of calls that the caller cannot do without.

    Args:
        name: Of the dependency, as in `order-core`.
        errors: Creates the error to raise instead, by the error of the client library.
        defects: Errors that no repeat mends; they are raised as they are, so that they are reported as defects.

    Raises:
        DependencyUnavailable: A call failed in any other way.
    """
    try:
        yield
    except defects:
        raise
    except ServiceError as error:
        create = next((create for kind, create in errors.items() if isinstance(error, kind)), None)
        raise (DependencyUnavailable(name) if create is None else create()) from error
