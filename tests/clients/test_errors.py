from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

import ridehail_clients
from ridehail.common.v1.error_reason_pb2 import ErrorReason
from ridehail_clients import (
    ERRORS_BY_REASON,
    CallTimedOut,
    FieldViolation,
    InvalidRequest,
    OrderVersionConflict,
    Overloaded,
    PriceChangesOutOfOrder,
    RetryPolicy,
    RoadSwitchConflict,
    RoadSwitchNotAllowed,
    ServiceError,
    TransportUnavailable,
)
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import Reply, ScriptedServer, fail, info, retry_after, violation

CALL = ("TollRoadsClient", "retrieve_order", {"order_id": "order", "timeout": 60})
ONCE = RetryPolicy(attempts=1)
REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name in ErrorReason.DESCRIPTOR.values_by_name
    if name != "ERROR_REASON_UNSPECIFIED"
]


async def _failure(target: str, flavour: Flavour) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        await flavour.call(target, *CALL, retry=ONCE)
    return raised.value


def test_every_reason_of_the_catalogue_has_a_class_of_its_own() -> None:
    assert sorted(ERRORS_BY_REASON) == sorted(REASONS)
    assert len(set(ERRORS_BY_REASON.values())) == len(REASONS)


def test_every_error_can_be_imported_from_the_package() -> None:
    errors = {*ERRORS_BY_REASON.values(), *ServiceError.__subclasses__(), ServiceError}

    assert {error.__name__ for error in errors} <= set(ridehail_clients.__all__)


async def test_a_reason_becomes_its_class(server: ScriptedServer, flavour: Flavour) -> None:
    async with flavour.opened(server.target, "TollRoadsClient", retry=ONCE, attempt_timeout=60) as opened:
        for reason in REASONS:
            server.script(fail(grpc.StatusCode.FAILED_PRECONDITION, info(reason, key="value"), message="refused"))

            with pytest.raises(ServiceError) as raised:
                await opened.call("retrieve_order", order_id="order", timeout=60)

            error = raised.value
            assert type(error) is ERRORS_BY_REASON[reason]
            assert (error.code, error.reason, error.message) == (
                grpc.StatusCode.FAILED_PRECONDITION,
                reason,
                "refused",
            )
            assert dict(error.metadata) == {"key": "value"}
            assert isinstance(error.__cause__, grpc.RpcError)


async def test_details_are_read(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(
        fail(
            grpc.StatusCode.INVALID_ARGUMENT,
            info("INVALID_REQUEST"),
            retry_after(1.25),
            violation("order_ids[3]", "must be short", "string.id"),
            request_id="request-1",
        )
    )

    error = await _failure(server.target, flavour)

    assert isinstance(error, InvalidRequest)
    assert error.retry_after == 1.25
    assert error.violations == (FieldViolation("order_ids[3]", "must be short", "string.id"),)
    assert error.request_id == "request-1"
    assert str(error) == "INVALID_ARGUMENT INVALID_REQUEST: scripted (request id request-1)"


def _broken_details(context: grpc.ServicerContext) -> None:
    context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "scripted")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (fail(grpc.StatusCode.NOT_FOUND), ""),
        (fail(grpc.StatusCode.NOT_FOUND, info("ORDER_NOT_FOUND", domain="elsewhere")), ""),
        (fail(grpc.StatusCode.NOT_FOUND, info("NEWER_THAN_THIS_LIBRARY")), "NEWER_THAN_THIS_LIBRARY"),
        (_broken_details, ""),
    ],
    ids=["no details", "another domain", "unknown reason", "unreadable details"],
)
async def test_an_error_without_a_known_reason_stays_plain(
    server: ScriptedServer, flavour: Flavour, reply: Reply, reason: str
) -> None:
    server.script(reply)

    error = await _failure(server.target, flavour)

    assert type(error) is ServiceError
    assert (error.code, error.reason, error.message) == (grpc.StatusCode.NOT_FOUND, reason, "scripted")
    assert (dict(error.metadata), error.retry_after, error.violations, error.request_id) == (
        {"key": "value"} if error.metadata else {},
        None,
        (),
        "",
    )


async def test_a_crash_of_the_server_is_a_plain_error(server: ScriptedServer, flavour: Flavour) -> None:
    def crash(_context: grpc.ServicerContext) -> None:
        raise RuntimeError("scripted")

    server.script(crash)

    error = await _failure(server.target, flavour)

    assert type(error) is ServiceError
    assert error.code is grpc.StatusCode.UNKNOWN


async def test_unavailable_without_a_reason_is_the_transport(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE))

    assert type(await _failure(server.target, flavour)) is TransportUnavailable


@pytest.fixture
def closed_port() -> Iterator[str]:
    # Bound, so that nobody else takes it, but not listening.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def silent_port() -> Iterator[str]:
    # The kernel accepts connections, but nobody ever speaks.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield f"127.0.0.1:{silent.getsockname()[1]}"


@pytest.mark.integration
async def test_a_refused_connection_is_the_transport(closed_port: str, flavour: Flavour) -> None:
    error = await _failure(closed_port, flavour)

    assert type(error) is TransportUnavailable
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "")


@pytest.mark.integration
async def test_a_peer_that_never_speaks_is_a_timeout(silent_port: str, flavour: Flavour) -> None:
    with pytest.raises(CallTimedOut) as raised:
        await flavour.call(silent_port, "TollRoadsClient", "retrieve_order", {"order_id": "order", "timeout": 0.2})

    assert (raised.value.code, raised.value.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "")


class _Garbage(grpc.GenericRpcHandler):
    """Responds to every call with what is no message; has no health service."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # its type is private to gRPC
        if "Health" in str(handler_call_details.method):
            return None
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"\xff\xff\xff\x07garbage")


@pytest.fixture
def garbage_server() -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((_Garbage(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.integration
@pytest.mark.parametrize("coalesce", [False, True], ids=["alone", "shared"])
async def test_a_response_that_cannot_be_read_is_a_defect_of_the_server(
    garbage_server: str, flavour: Flavour, coalesce: bool
) -> None:
    with pytest.raises(ServiceError) as raised:
        await flavour.call(garbage_server, *CALL, coalesce=coalesce)
    assert (raised.value.code, raised.value.reason) == (grpc.StatusCode.INTERNAL, "")

    assert not await flavour.call(garbage_server, "TollRoadsClient", "save_offer", {"offer_id": "offer", "timeout": 10})


def test_an_error_survives_pickling() -> None:
    error = OrderVersionConflict(
        grpc.StatusCode.ABORTED,
        "ORDER_VERSION_CONFLICT",
        "expected",
        {"current_version": "7"},
        1.5,
        [FieldViolation("field", "description", "rule")],
        "request-1",
    )

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is OrderVersionConflict
    assert str(copy) == str(error)
    assert (copy.metadata, copy.retry_after, copy.violations) == (error.metadata, error.retry_after, error.violations)


def test_the_reasons_why_a_switch_is_refused_are_told_apart() -> None:
    assert ERRORS_BY_REASON["ROAD_SWITCH_NOT_ALLOWED"] is RoadSwitchNotAllowed
    assert ERRORS_BY_REASON["ROAD_SWITCH_CONFLICT"] is RoadSwitchConflict
    assert ERRORS_BY_REASON["PRICE_CHANGES_OUT_OF_ORDER"] is PriceChangesOutOfOrder


def test_a_class_of_errors_is_caught_by_its_base() -> None:
    with pytest.raises(ServiceError):
        raise Overloaded(grpc.StatusCode.RESOURCE_EXHAUSTED)
