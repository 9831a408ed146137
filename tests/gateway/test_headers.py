"""Which headers pass, and what becomes of requests whose headers are bad."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping

import pytest

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.gateway.envoy_process import Listener
from tests.gateway.upstream import Upstream
from tests.support.waiting import LIMIT_S

SWITCH = "/4.0/toll-roads/v1/order"
OFFER = "/toll-roads/v1/offer"
SWITCH_METHOD = "ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
OFFER_METHOD = "ridehail.tollroads.v1.TollRoadsService/SaveOffer"
FROM_THE_GATEWAY = {
    "x-request-id",
    "x-ya-service-ticket",
    "x-yandex-uid",
    "x-yataxi-userid",
    "x-ya-family-role",
    "x-yataxi-phone-id",
}
# Every server of gRPC sees it.
USER_AGENT = "user-agent"
ODD = {
    "x-foo-bin": "!!!",
    "grpc-trace-bin": "!!!",
    "grpc-status-details-bin": "!!!",
    "grpc-timeout": "garbage",
    "grpc-encoding": "bogus",
    "grpc-accept-encoding": "bogus",
    "grpc-status": "0",
    "grpc-message": "%ff",
    "grpc-previous-rpc-attempts": "x",
    "grpc-internal-encoding-request": "bogus",
    "te": "gzip",
    "content-encoding": "gzip",
    "accept-encoding": "gzip",
    "accept": "text/html",
    "origin": "http://x",
    "cookie": "a=b",
    "user-agent": "app",
    "referer": "http://x",
    "via": "x",
    "forwarded": "for=1.2.3.4",
    "x-forwarded-for": "1.2.3.4",
    "x-forwarded-host": "x",
    "x-forwarded-proto": "https",
    "x-real-ip": "1.2.3.4",
    "x-envoy-original-path": "/lie",
    "x-envoy-original-method": "GET",
    "x-envoy-external-address": "1.2.3.4",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-http-method-override": "GET",
    "x-original-url": "/lie",
    "x-unknown": "x",
    "traceparent": "x",
    "lb-cost-bin": "!!!",
}


def grpc_call(
    listener: Listener, method: str, headers: Mapping[str, str], *, message: bytes | None = b""
) -> tuple[str, str]:
    """Makes a native gRPC call with exactly these headers; returns the status' number and message.

    Without a message the call ends with its headers. (curl drops a response that precedes the end of the body.)
    """
    command = ["curl", "-sS", "--http2-prior-knowledge", "-D", "-", "-o", "/dev/null", "-X", "POST"]
    sent = {"content-type": "application/grpc", "te": "trailers", **headers}
    command += [it for name, value in sent.items() for it in ("-H", f"{name}: {value}")]
    if message is not None:
        command += ["--data-binary", "@-"]
    ended = subprocess.run(
        [*command, f"http://{listener.address}/{method}"],
        input=b"" if message is None else b"\0" + len(message).to_bytes(4, "big") + message,
        capture_output=True,
        check=True,
    )
    lines = [line.partition(": ") for line in ended.stdout.decode().splitlines()]
    seen = {name.lower(): value for name, _, value in lines}
    return seen["grpc-status"], seen.get("grpc-message", "")


def names_of(upstream: Upstream) -> set[str]:
    """Returns the metadata keys of the only call."""
    return {name for name, _value in upstream.only_call.metadata} - {USER_AGENT}


def test_of_a_passengers_json_request_only_known_headers_pass(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    assert public.post(SWITCH, {"order_id": "o"}, {**ODD, **signed_in, "accept-language": "he"}).status == 200
    assert names_of(upstream) == FROM_THE_GATEWAY | {"accept-language"}
    assert upstream.only_call.header("accept-language") == "he"
    assert upstream.only_call.request == api.SwitchRoadRequest(order_id="o")


def test_of_a_services_json_request_only_known_headers_pass(internal: Listener, upstream: Upstream) -> None:
    known = {"x-ya-service-ticket": "t", "x-ya-mock-write-request": "1", "accept-language": "he", "x-request-id": "r"}
    assert internal.post(OFFER, {}, {**ODD, **known, "authorization": "Bearer x"}).status == 200
    assert names_of(upstream) == known.keys()


def test_of_native_grpc_only_known_headers_pass(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    odd = {name: value for name, value in ODD.items() if name not in {"te", "grpc-timeout", "grpc-encoding"}}
    assert grpc_call(public, SWITCH_METHOD, {**odd, **signed_in})[0] == "0"
    assert names_of(upstream) == FROM_THE_GATEWAY | {"content-length"}
    upstream.reset()
    assert grpc_call(internal, OFFER_METHOD, {**odd, "x-ya-service-ticket": "t", "authorization": "x"})[0] == "0"
    assert names_of(upstream) == {"x-request-id", "x-ya-service-ticket", "content-length"}


@pytest.mark.parametrize("name", ODD)
def test_no_header_makes_a_json_request_fail(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str], name: str
) -> None:
    assert public.post(SWITCH, {}, {**signed_in, name: ODD[name]}).status == 200
    assert internal.post(OFFER, {}, {name: ODD[name]}).status == 200


@pytest.mark.parametrize("timeout", ["garbage", "", "1", "n", "1n", "0n", "-1S", "999999999S", "1s", "1S,2S"])
def test_a_json_request_has_no_deadline_of_grpcs(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str], timeout: str
) -> None:
    assert public.post(SWITCH, {}, {**signed_in, "grpc-timeout": timeout}).status == 200
    assert internal.post(OFFER, {}, {"grpc-timeout": timeout}).status == 200


@pytest.mark.parametrize("timeout", ["garbage", "1", "n", "-1S", "999999999S", "1s", "1 S", "S1"])
def test_a_malformed_deadline_of_native_grpc_is_the_callers_fault(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str], timeout: str
) -> None:
    fault = ("3", "the header grpc-timeout is malformed")
    assert grpc_call(public, SWITCH_METHOD, {**signed_in, "grpc-timeout": timeout}, message=None) == fault
    assert grpc_call(internal, OFFER_METHOD, {"grpc-timeout": timeout}, message=None) == fault
    assert upstream.calls == []


def test_an_unknown_encoding_of_native_grpc_is_the_callers_fault(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    fault = ("3", "the header grpc-encoding names an unknown encoding")
    assert grpc_call(public, SWITCH_METHOD, {**signed_in, "grpc-encoding": "bogus"}, message=None) == fault
    assert grpc_call(internal, OFFER_METHOD, {"grpc-encoding": "bogus"}, message=None) == fault
    assert upstream.calls == []


def test_a_valid_deadline_of_native_grpc_passes(
    public: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    for timeout in ("20S", "20000m", "1H", "99999999u"):
        assert grpc_call(public, SWITCH_METHOD, {**signed_in, "grpc-timeout": timeout})[0] == "0"


def test_ninety_headers_pass(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str]
) -> None:
    many = {f"x-{number}": "x" for number in range(90)}
    assert public.post(SWITCH, {}, {**signed_in, **many}).status == 200
    assert internal.post(OFFER, {}, many).status == 200
    assert grpc_call(public, SWITCH_METHOD, {**signed_in, **many})[0] == "0"


@pytest.mark.parametrize("name", ["cookie", "accept-language", "x-ya-service-ticket"])
@pytest.mark.parametrize("kib", [7, 9, 11, 13, 15, 17, 20, 31, 33, 60])
def test_headers_have_one_deterministic_limit(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str], *, name: str, kib: int
) -> None:
    headers = {name: "x" * kib * 1024}
    for _ in range(5):
        for reply in (public.post(SWITCH, {}, {**signed_in, **headers}), internal.post(OFFER, {}, headers)):
            if kib < 16:
                assert reply.status == 200, reply
            else:
                assert reply.error == (431, 3)


def raw_post(listener: Listener, path: str, *headers: bytes) -> bytes:
    """Sends a request with these header lines; returns the response's head and body."""
    lines = [f"POST {path} HTTP/1.1".encode(), b"host: x", b"content-length: 2", b"connection: close", *headers]
    return listener.raw(b"\r\n".join([*lines, b"", b"{}"]))


@pytest.mark.parametrize("value", [b"\xff", b"he\xc3\xa9", b"\x80\x81", "שלום".encode()])
def test_a_known_header_that_is_not_ascii_gets_400_and_an_unknown_one_is_dropped(
    public: Listener, internal: Listener, upstream: Upstream, token: str, value: bytes
) -> None:
    session = b"authorization: Bearer " + token.encode()
    for name in (b"accept-language", b"content-type"):
        assert raw_post(public, SWITCH, session, name + b": " + value).startswith(b"400")
    for name in (b"accept-language", b"content-type", b"x-ya-service-ticket", b"x-ya-mock-write-request"):
        answer = raw_post(internal, OFFER, name + b": " + value)
        assert answer.startswith(b"400")
        assert b'"message":"the header ' + name + b' is not ASCII"' in answer
    assert raw_post(public, SWITCH, session + value).startswith(b"400")
    assert upstream.calls == []
    for name in (b"cookie", b"x-unknown", b"user-agent", b"x-foo-bin", b"x-ya-service-ticket"):
        assert raw_post(public, SWITCH, session, name + b": " + value).startswith(b"200")
    assert raw_post(internal, OFFER, b"authorization: " + value).startswith(b"200")


def test_a_services_request_id_that_is_not_ascii_gets_400(internal: Listener, upstream: Upstream) -> None:
    assert raw_post(internal, OFFER, b"x-request-id: \xff").startswith(b"400")
    assert upstream.calls == []


@pytest.mark.parametrize("path", [b"/4.0/\xff", b"/4.0/toll-roads/v1/order?a=\xff", b"/4.0/%ff", b"/\x01"])
def test_a_path_that_is_not_ascii_is_refused(public: Listener, upstream: Upstream, token: str, path: bytes) -> None:
    head = b"\r\nhost: x\r\ncontent-length: 2\r\nauthorization: Bearer " + token.encode()
    answer = public.raw(b"POST " + path + b" HTTP/1.1" + head + b"\r\n\r\n{}")
    assert answer[:3] in {b"400", b"404"}
    assert b'"details":[]' in answer
    assert upstream.calls == []


@pytest.mark.parametrize("host", [b"x" * 15000, b"a b", b"\xff", b"user@x", b"x:99999", b""])
def test_the_host_does_not_reach_servers(public: Listener, upstream: Upstream, token: str, host: bytes) -> None:
    with socket.create_connection(("127.0.0.1", public.port), timeout=LIMIT_S) as connection:
        head = f"POST {SWITCH} HTTP/1.1\r\ncontent-length: 2\r\nauthorization: Bearer {token}\r\nhost: ".encode()
        connection.sendall(head + host + b"\r\n\r\n{}")
        status = connection.recv(4096).split()[1]
    assert status in {b"200", b"400"}
