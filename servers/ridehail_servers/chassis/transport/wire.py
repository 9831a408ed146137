"""How gRPC writes calls into HTTP/2: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md."""

from __future__ import annotations

import base64
import binascii
import urllib.parse
import zlib
from collections.abc import Iterable

Metadata = tuple[tuple[str, str | bytes], ...]
Headers = list[tuple[bytes, bytes]]

PREFIX_BYTES = 5

_NOT_METADATA = frozenset((b"te", b"content-type", b"host", b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding"))
_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_MAX_TIMEOUT_DIGITS = 8
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
# To zlib: a header of gzip or of zlib's own, whichever is there.
_ANY_HEADER = zlib.MAX_WBITS | 32


class MessageTooLarge(Exception):
    """A message is larger than the limit, as it came or decompressed."""


class MessageMalformed(Exception):
    """What stands where a message should be is none."""


def timeout_s(value: bytes) -> float | None:
    """Returns the seconds of a `grpc-timeout`, or None for one that breaks the rules: it counts as not given."""
    digits, unit = value[:-1], _UNIT_S.get(value[-1:])
    if unit is None or not digits.isdigit() or len(digits) > _MAX_TIMEOUT_DIGITS:
        return None
    return int(digits) * unit


def split(headers: Iterable[tuple[bytes, bytes]]) -> tuple[Metadata, dict[bytes, bytes]]:
    """Returns what callers call metadata, and the headers that are gRPC's own.

    Leaves out what is no text, or no base64 where a key promises that.
    """
    found: list[tuple[str, str | bytes]] = []
    own: dict[bytes, bytes] = {}
    for key, value in headers:
        if key in _NOT_METADATA:
            own[key] = value
            continue
        try:
            if key.endswith(b"-bin"):
                found.extend((key.decode("ascii"), _decoded(one)) for one in value.split(b","))
            else:
                found.append((key.decode("ascii"), value.decode("ascii")))
        except (UnicodeDecodeError, binascii.Error):
            continue
    return tuple(found), own


def encoded(metadata: Iterable[tuple[str, str | bytes]]) -> Headers:
    """Returns metadata as headers."""
    return [
        (
            key.encode("ascii"),
            value.encode("ascii") if isinstance(value, str) else base64.b64encode(value).rstrip(b"="),
        )
        for key, value in metadata
    ]


def status_headers(code: int, message: str) -> Headers:
    """Returns the headers that end a call."""
    if not message:
        return [(b"grpc-status", b"%d" % code)]
    return [
        (b"grpc-status", b"%d" % code),
        (b"grpc-message", urllib.parse.quote(message, safe=_PLAIN, errors="replace").encode("ascii")),
    ]


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def first_message(buffer: bytes | bytearray, *, encoding: bytes, limit: int) -> tuple[bytes, int] | None:
    """Returns the message that a buffer begins with and the bytes that it takes there, or None if it is not all there.

    Args:
        buffer: What has arrived.
        encoding: By which messages that are marked so are compressed: `gzip` or `deflate`.
        limit: Bytes that a message may have.

    Raises:
        MessageTooLarge: It is, or claims to be, larger.
        MessageMalformed: Its mark is none, or its compression cannot be undone.
    """
    if len(buffer) < PREFIX_BYTES:
        return None
    mark, size = buffer[0], int.from_bytes(buffer[1:PREFIX_BYTES], "big")
    if size > limit:
        raise MessageTooLarge
    if mark > 1 or (mark and encoding not in {b"gzip", b"deflate"}):
        raise MessageMalformed
    end = PREFIX_BYTES + size
    if len(buffer) < end:
        return None
    message = bytes(buffer[PREFIX_BYTES:end])
    return (_decompressed(message, limit) if mark else message), end


def _decompressed(message: bytes, limit: int) -> bytes:
    decompressor = zlib.decompressobj(_ANY_HEADER)
    try:
        whole = decompressor.decompress(message, limit + 1)
    except zlib.error:
        raise MessageMalformed from None
    if len(whole) > limit:
        raise MessageTooLarge
    if not decompressor.eof:
        raise MessageMalformed
    return whole


def _decoded(value: bytes) -> bytes:
    value = value.strip()
    return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
