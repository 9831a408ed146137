"""What gRPC writes into HTTP/2, read and written."""

from __future__ import annotations

import gzip
import urllib.parse
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail_servers.chassis.transport import wire

KEYS = st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True).filter(lambda key: not key.endswith("-bin"))
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
PAIRS = st.one_of(st.tuples(KEYS, TEXTS), st.tuples(KEYS.map(lambda key: f"{key}-bin"), st.binary()))


@given(st.lists(PAIRS))
def test_metadata_is_read_as_it_was_written(pairs: list[tuple[str, str | bytes]]) -> None:
    expected = [pair for pair in pairs if pair[0].encode() not in wire._NOT_METADATA]
    assert list(wire.split(wire.encoded(pairs))[0]) == expected


@given(st.lists(st.tuples(st.binary(), st.binary())))
def test_no_header_makes_it_fail(headers: list[tuple[bytes, bytes]]) -> None:
    wire.split(headers)


def test_several_values_in_a_header_of_bytes_are_several() -> None:
    assert wire.split([(b"a-bin", b"AQ, Ag==")])[0] == (("a-bin", b"\1"), ("a-bin", b"\2"))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_message_of_a_status_is_visible_ascii_that_can_be_read_back(message: str) -> None:
    (_code, (key, value)) = wire.status_headers(5, message)
    assert key == b"grpc-message"
    assert all(0x20 <= byte <= 0x7E for byte in value)
    assert urllib.parse.unquote(value.decode()) == message


def test_a_status_without_a_message_has_none() -> None:
    assert wire.status_headers(0, "") == [(b"grpc-status", b"0")]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(b"2H", 7200), (b"3M", 180), (b"4S", 4), (b"250m", 0.25), (b"7u", 7e-6), (b"9n", 9e-9), (b"99999999S", 99999999)],
)
def test_a_timeout_is_read_in_every_unit(written: bytes, seconds: float) -> None:
    assert wire.timeout_s(written) == pytest.approx(seconds)


@pytest.mark.parametrize("written", [b"", b"S", b"10", b"10x", b"-1S", b"1.5S", b"123456789S", b" 1S", b"\xff"])
def test_a_timeout_that_breaks_the_rules_is_none(written: bytes) -> None:
    assert wire.timeout_s(written) is None


def taken(buffer: bytes, encoding: bytes = b"", limit: int = 1000) -> tuple[bytes, int] | None:
    return wire.first_message(buffer, encoding=encoding, limit=limit)


@given(st.binary(max_size=1000), st.binary(max_size=10))
def test_a_message_is_taken_once_it_is_all_there(message: bytes, more: bytes) -> None:
    framed = wire.framed(message)
    assert taken(framed + more) == (message, len(framed))
    assert all(taken(framed[:size]) is None for size in range(min(len(framed), 20)))
    assert taken(framed[:-1]) is None


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_a_compressed_message_is_decompressed_up_to_the_limit(compress: object, encoding: bytes) -> None:
    assert callable(compress)
    for size in (0, 1000):
        compressed = compress(bytes(size))
        assert taken(b"\1" + wire.framed(compressed)[1:], encoding) == (bytes(size), 5 + len(compressed))
    with pytest.raises(wire.MessageTooLarge):
        taken(b"\1" + wire.framed(compress(bytes(1001)))[1:], encoding)
    with pytest.raises(wire.MessageMalformed):
        taken(b"\1" + wire.framed(compress(bytes(100))[:-5])[1:], encoding)


def test_a_message_that_claims_to_be_too_large_is_refused_before_it_is_there() -> None:
    with pytest.raises(wire.MessageTooLarge):
        taken(b"\0" + (1001).to_bytes(4, "big"))


@pytest.mark.parametrize(("mark", "encoding"), [(2, b"gzip"), (255, b""), (1, b""), (1, b"identity"), (1, b"snappy")])
def test_a_message_marked_as_nothing_known_is_malformed(mark: int, encoding: bytes) -> None:
    with pytest.raises(wire.MessageMalformed):
        taken(bytes((mark,)) + wire.framed(b"a")[1:], encoding)


@given(st.binary(max_size=100), st.sampled_from([b"", b"gzip", b"deflate"]))
def test_nothing_that_arrives_makes_it_fail_otherwise(buffer: bytes, encoding: bytes) -> None:
    try:
        found = taken(buffer, encoding, limit=50)
    except (wire.MessageTooLarge, wire.MessageMalformed):
        return
    assert found is None or len(found[0]) <= 50
