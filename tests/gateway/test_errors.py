"""What becomes of a server's errors on the way out."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.rpc import error_details_pb2

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.gateway import native
from tests.gateway.envoy_process import Listener
from tests.gateway.upstream import Upstream, fails, responds

PATH = "/4.0/toll-roads/v1/order"
METHOD = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
INFO = error_details_pb2.ErrorInfo(reason="ORDER_NOT_FOUND", domain="ridehail", metadata={"order_id": "o"})
INFO_JSON = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "ORDER_NOT_FOUND",
    "domain": "ridehail",
    "metadata": {"order_id": "o"},
}
HTTP_STATUS = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}


@pytest.mark.parametrize("code", HTTP_STATUS, ids=lambda code: code.name)
@pytest.mark.parametrize("headers_first", [False, True])
def test_every_code_has_its_http_status_and_keeps_its_details(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], code: grpc.StatusCode, headers_first: bool
) -> None:
    upstream.handler = fails(code, "no such order", INFO, headers_first=headers_first)
    reply = public.post(PATH, {}, signed_in)
    assert reply.error == (HTTP_STATUS[code], code.value[0])
    assert reply.json == {"code": code.value[0], "message": "no such order", "details": [INFO_JSON]}
    assert "grpc-status" not in reply.headers
    assert "grpc-status-details-bin" not in reply.headers


def test_an_error_without_details_is_json_of_the_same_shape(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    upstream.handler = fails(grpc.StatusCode.INTERNAL, 'it said "ю"')
    reply = public.post(PATH, {}, signed_in)
    assert (reply.status, reply.json) == (500, {"code": 13, "message": 'it said "ю"', "details": []})


def test_all_kinds_of_details_are_json(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)
    violation = error_details_pb2.BadRequest.FieldViolation(field="order_id", description="no", reason="string.id")
    bad_request = error_details_pb2.BadRequest(field_violations=[violation])
    upstream.handler = fails(grpc.StatusCode.INVALID_ARGUMENT, "bad", INFO, retry, bad_request)
    _, retry_json, bad_request_json = public.post(PATH, {}, signed_in).json["details"]
    assert retry_json == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": "1.500s"}
    (violation_json,) = bad_request_json["field_violations"]
    assert (violation_json["field"], violation_json["reason"]) == ("order_id", "string.id")


@pytest.mark.parametrize("status", ["400", "406", "410", "422", "599"])
def test_an_error_may_name_its_own_http_status(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], status: str
) -> None:
    upstream.handler = fails(grpc.StatusCode.NOT_FOUND, "gone", INFO, trailing=(("x-http-status", status),))
    reply = public.post(PATH, {}, signed_in)
    assert reply.status == int(status)
    assert reply.json == {"code": 5, "message": "gone", "details": [INFO_JSON]}
    assert "x-http-status" not in reply.headers


@pytest.mark.parametrize(
    "status", ["", "0", "99", "200", "302", "399", "600", "999", "4060", "40", "abc", "4e2", " 406x"]
)
def test_an_invalid_http_status_is_ignored(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], status: str
) -> None:
    upstream.handler = fails(grpc.StatusCode.NOT_FOUND, "gone", trailing=(("x-http-status", status),))
    reply = public.post(PATH, {}, signed_in)
    assert reply.status == 404
    assert "x-http-status" not in reply.headers


def test_a_success_cannot_name_another_http_status(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    named = (("x-http-status", "406"),)
    upstream.handler = responds(api.SwitchRoadResponse(), leading=named, trailing=named)
    reply = public.post(PATH, {}, signed_in)
    assert (reply.status, reply.json) == (200, {})
    assert "x-http-status" not in reply.headers


def test_a_client_cannot_name_the_http_status(public: Listener, upstream: Upstream, signed_in: dict[str, str]) -> None:
    upstream.handler = fails(grpc.StatusCode.NOT_FOUND, "gone")
    assert public.post(PATH, {}, {**signed_in, "x-http-status": "406"}).status == 404


@pytest.mark.parametrize("headers_first", [False, True])
def test_grpc_callers_get_the_status_as_the_server_sent_it(
    public: Listener,
    upstream: Upstream,
    signed_in: dict[str, str],
    channel: Callable[[Listener], grpc.Channel],
    headers_first: bool,
) -> None:
    upstream.handler = fails(
        grpc.StatusCode.NOT_FOUND, "gone", INFO, trailing=(("x-http-status", "406"),), headers_first=headers_first
    )
    failure = native.failure(channel(public), METHOD, api.SwitchRoadRequest(), signed_in)
    assert (failure.code, failure.message, failure.reason) == (grpc.StatusCode.NOT_FOUND, "gone", "ORDER_NOT_FOUND")
    assert "x-http-status" not in failure.trailing


def test_the_internal_listener_returns_the_same_errors(internal: Listener, upstream: Upstream) -> None:
    upstream.handler = fails(grpc.StatusCode.NOT_FOUND, "gone", INFO, trailing=(("x-http-status", "406"),))
    reply = internal.post("/toll-roads/v1/order/retrieve", {"order_id": "o"})
    assert (reply.status, reply.json) == (406, {"code": 5, "message": "gone", "details": [INFO_JSON]})


def test_a_servers_own_401_differs_from_the_authorizers(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    info = error_details_pb2.ErrorInfo(reason="PASSENGER_MISSING", domain="ridehail")
    upstream.handler = fails(grpc.StatusCode.UNAUTHENTICATED, "the call names no passenger", info)
    reply = public.post(PATH, {}, signed_in)
    assert (reply.error, reply.reason) == ((401, 16), "PASSENGER_MISSING")
