"""Calls to dependencies: failures that the caller can do without, and failures that it reports."""

from __future__ import annotations

import grpc
import pytest

from ridehail_clients import InvalidRequest, OrderNotFound, ServiceError
from ridehail_servers.chassis import errors
from ridehail_servers.chassis.dependency_calls import (
    CallFailure,
    ResponseUnreadable,
    call_dependency,
    required_dependency,
)

NOT_FOUND = OrderNotFound(grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
REFUSED = InvalidRequest(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
AWAY = ServiceError(grpc.StatusCode.UNAVAILABLE)
GARBAGE = ValueError("garbage")


async def raising(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (NOT_FOUND, CallFailure("ORDER_NOT_FOUND")),
        # A reason that is not in the catalogue may be anything.
        (ServiceError(grpc.StatusCode.ABORTED, "OF_A_LATER_RELEASE"), CallFailure("ABORTED")),
        (AWAY, CallFailure("UNAVAILABLE")),
        (ResponseUnreadable(), CallFailure("UNREADABLE")),
        (GARBAGE, CallFailure("UNEXPECTED", GARBAGE)),
    ],
)
async def test_a_failed_call_has_a_reason_from_a_closed_list(error: Exception, failure: CallFailure) -> None:
    assert await call_dependency(raising(error)) == failure


@pytest.mark.parametrize(
    ("error", "raised"),
    [(NOT_FOUND, errors.OrderNotFound), (REFUSED, InvalidRequest), (AWAY, errors.DependencyUnavailable)],
)
def test_errors_of_a_required_dependency_are_translated(error: Exception, raised: type[Exception]) -> None:
    with (
        pytest.raises(raised),
        required_dependency(
            "order-core", {OrderNotFound: lambda: errors.OrderNotFound("order")}, defects=(InvalidRequest,)
        ),
    ):
        raise error
