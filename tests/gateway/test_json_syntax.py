"""Only JSON counts as JSON (RFC 8259): Envoy's transcoder alone would take much that is none."""

from __future__ import annotations

import subprocess

import pytest

from tests.gateway.envoy_process import Listener, RunningEnvoy
from tests.gateway.upstream import Upstream

SWITCH = "/4.0/toll-roads/v1/order"
OFFER = "/toll-roads/v1/offer"

NO_JSON = {
    "trailing comma": b'{"order_id": "o",}',
    "trailing comma in an array": b'{"unknown": [1,]}',
    "two commas": b'{"order_id": "o",, "unknown": 1}',
    "leading comma": b'{, "order_id": "o"}',
    "missing comma": b'{"order_id": "o" "unknown": 1}',
    "missing colon": b'{"order_id" "o"}',
    "missing value": b'{"order_id": }',
    "missing end": b'{"order_id": "o"',
    "missing end of an array": b'{"unknown": [1}',
    "two documents": b'{"order_id": "o"} {"order_id": "o"}',
    "text after the document": b'{"order_id": "o"} x',
    "a second end": b'{"order_id": "o"}}',
    "single quotes": b"{'order_id': 'o'}",
    "single quotes around a name": b"{'order_id': \"o\"}",
    "a name without quotes": b'{order_id: "o"}',
    "a value without quotes": b'{"order_id": o}',
    "a number as a name": b'{1: "o"}',
    "null as a name": b'{null: "o"}',
    "a raw NUL": b'{"order_id": "o\0"}',
    "a NUL after the document": b'{"order_id": "o"}\0',
    "a NUL before the document": b'\0{"order_id": "o"}',
    "a raw line feed in a text": b'{"order_id": "o\n"}',
    "a raw tab in a text": b'{"order_id": "o\t"}',
    "a raw control character in a text": b'{"order_id": "o\x1f"}',
    "an unknown escape": b'{"order_id": "\\x41"}',
    "an escaped single quote": b'{"order_id": "\\\'"}',
    "half an escape": b'{"order_id": "\\u12"}',
    "an escape that is no number": b'{"order_id": "\\uzzzz"}',
    "a high surrogate alone": b'{"order_id": "\\ud800"}',
    "a low surrogate alone": b'{"order_id": "\\udc00"}',
    "surrogates in the wrong order": b'{"order_id": "\\udc00\\ud800"}',
    "a byte that is not UTF-8": b'{"order_id": "\xff"}',
    "an overlong encoding": b'{"order_id": "\xc0\xaf"}',
    "an encoded surrogate": b'{"order_id": "\xed\xa0\x80"}',
    "beyond Unicode": b'{"order_id": "\xf4\x90\x80\x80"}',
    "UTF-16": '{"order_id": "o"}'.encode("utf-16-le"),
    "a comment": b'{"order_id": "o" /* why */}',
    "a line comment": b'{"order_id": "o"} // why',
    "a leading zero": b'{"unknown": 01}',
    "a plus sign": b'{"unknown": +1}',
    "two minus signs": b'{"unknown": --1}',
    "a point without digits before": b'{"unknown": .5}',
    "a point without digits after": b'{"unknown": 1.}',
    "an exponent without digits": b'{"unknown": 1e}',
    "a hexadecimal number": b'{"unknown": 0x10}',
    "NaN": b'{"unknown": NaN}',
    "Infinity": b'{"unknown": Infinity}',
    "minus Infinity": b'{"unknown": -Infinity}',
    "True": b'{"has_toll_road": True}',
    "half of true": b'{"has_toll_road": tru}',
    "undefined": b'{"order_id": undefined}',
    "a form feed between": b'{"order_id":\x0c"o"}',
    "a no-break space between": b'{"order_id":\xc2\xa0"o"}',
    "a document that is only a space": b" ",
}
JSON = {
    "plain": b'{"order_id": "o"}',
    "spaces of all four kinds": b' \t\r\n{ \t\r\n"order_id" \t\r\n: \t\r\n"o" \t\r\n} \t\r\n',
    "escapes": b'{"order_id": "\\u006f"}',
    "unknown members": b'{"order_id": "o", "unknown": [null, true, -0.5e-3, {"a": ["\\ud83d\\ude00\\/"]}]}',
    "a large number": b'{"order_id": "o", "unknown": 123456789012345678901234567890}',
    "text beyond the basic plane": '{"order_id": "o", "unknown": "😀\u2028"}'.encode(),
    "an escaped NUL in an unknown member": b'{"order_id": "o", "unknown": "\\u0000"}',
    "deep": b'{"order_id": "o", "unknown": ' + b"[" * 60 + b"]" * 60 + b"}",
}


@pytest.mark.parametrize("name", NO_JSON)
def test_invalid_json_gets_400(public: Listener, upstream: Upstream, signed_in: dict[str, str], name: str) -> None:
    reply = public.post(SWITCH, NO_JSON[name], signed_in)
    assert reply.error == (400, 3)
    assert upstream.calls == []


@pytest.mark.parametrize("name", JSON)
def test_valid_json_passes(public: Listener, upstream: Upstream, signed_in: dict[str, str], name: str) -> None:
    reply = public.post(SWITCH, JSON[name], signed_in)
    assert reply.status == 200, reply.body
    assert upstream.only_call.request.order_id == "o"  # type: ignore[attr-defined]  # of the generated message


@pytest.mark.parametrize(
    "body",
    [b'{"order_id": "o", "": 1}', b'{"order_id": "o", "unknown": 1e999}', b'\xef\xbb\xbf{"order_id": "o"}'],
    ids=["a member without a name", "a number beyond doubles", "a byte order mark"],
)
def test_some_valid_json_is_refused(
    public: Listener, upstream: Upstream, signed_in: dict[str, str], body: bytes
) -> None:
    assert public.post(SWITCH, body, signed_in).error == (400, 3)
    assert upstream.calls == []


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json; charset=utf-8", "application/xml"])
def test_the_content_type_does_not_decide(
    public: Listener, internal: Listener, upstream: Upstream, signed_in: dict[str, str], content_type: str
) -> None:
    headers = {**signed_in, "content-type": content_type}
    assert public.post(SWITCH, NO_JSON["trailing comma"], headers).error == (400, 3)
    assert internal.post(OFFER, NO_JSON["single quotes"], headers).error == (400, 3)
    assert upstream.calls == []


def test_a_body_in_many_chunks_is_read_as_one(public: Listener, upstream: Upstream, token: str) -> None:
    for body, status in ((b'{"order_id": "o", "unknown": [%s 1]}', b"200"), (b'{"order_id": "o", "x": [%s]}', b"400")):
        ended = subprocess.run(
            (
                *("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Transfer-Encoding: chunked"),
                *("-H", f"Authorization: Bearer {token}", "--data-binary", "@-", f"http://{public.address}{SWITCH}"),
            ),
            input=body % (b"1, " * 4000),
            capture_output=True,
            check=True,
        )
        assert ended.stdout == status


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_deeply_nested_body_is_refused_and_delays_no_other_request(
    gateway: RunningEnvoy, upstream: Upstream, signed_in: dict[str, str], opening: bytes
) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    depth = 200 * 1024 // (len(opening) + 1)
    for tail in (b"", b"1" + closing * depth):
        reply = gateway.public.post("/sample/v1/things", opening * depth + tail, signed_in)
        assert reply.error == (400, 3)
    assert upstream.calls == []
    assert gateway.public.post(SWITCH, {"order_id": "o"}, signed_in).status == 200
