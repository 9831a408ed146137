"""Frames of HTTP/2 as no library would send them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INITIAL_WINDOW = 4
NO_WINDOW = struct.pack(">HI", INITIAL_WINDOW, 0)


def frame(kind: int, payload: bytes = b"", *, stream: int = 0, flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def number(value: int, bits: int, mark: int = 0) -> bytes:
    """Returns a number as HPACK writes it, after a mark in the bits before it."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((mark | value,))
    written = bytes((mark | most,))
    value -= most
    while value >= 128:
        written += bytes((value % 128 | 128,))
        value //= 128
    return written + bytes((value,))


def header(name: bytes, value: bytes, *, indexed: bool = False) -> bytes:
    """Returns a literal header, which the table of the connection keeps if it is indexed."""
    return (b"\x40" if indexed else b"\0") + number(len(name), 7) + name + number(len(value), 7) + value


def call_headers(path: str, *more: tuple[bytes, bytes]) -> bytes:
    pairs: Iterable[tuple[bytes, bytes]] = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"test"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    )
    return b"".join(header(name, value) for name, value in pairs)


def request(path: str, body: bytes, *more: tuple[bytes, bytes], stream: int = 1, ends: bool = True) -> bytes:
    """Returns the frames of a call; without `ends` its body may go on."""
    begin = frame(HEADERS, call_headers(path, *more), stream=stream, flags=END_HEADERS)
    pieces = [body[start : start + 16384] for start in range(0, len(body), 16384)] or [b""]
    *others, last = (frame(DATA, piece, stream=stream) for piece in pieces)
    if ends:
        last = frame(DATA, pieces[-1], stream=stream, flags=END_STREAM)
    return b"".join((begin, *others, last))


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frames(self) -> AsyncIterator[tuple[int, int, int, bytes]]:
        """Yields kind, flags, stream and payload of what the server sends, until it hangs up."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                yield head[3], head[4], int.from_bytes(head[5:], "big"), payload

    async def ended_streams(self, expected: int) -> set[int]:
        """Returns the streams that have ended, once so many have or the server has hung up."""
        ended: set[int] = set()
        async for kind, flags, stream, _payload in self.frames():
            if kind == RST_STREAM or (kind in {DATA, HEADERS} and flags & END_STREAM):
                ended.add(stream)
            if len(ended) >= expected:
                break
        return ended

    async def is_closed(self) -> bool:
        async for _frame in self.frames():
            pass
        return True


@asynccontextmanager
async def connected(port: int, *, settings: bytes = b"", magic: bool = True) -> AsyncIterator[Connection]:
    """Connects and, as the server's settings count only from then on, acknowledges them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = Connection(reader, writer)
    try:
        if magic:
            writer.write(MAGIC + frame(SETTINGS, settings))
            async for kind, flags, _stream, _payload in connection.frames():
                if kind == SETTINGS and not flags & ACK:
                    break
            writer.write(frame(SETTINGS, flags=ACK))
        yield connection
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
