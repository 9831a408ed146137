"""Nobody who can reach the port stops others from being served, or makes the process keep what they send."""

from __future__ import annotations

import asyncio
import gzip
import random
import struct
from contextlib import suppress

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2

from tests.chassis.transport import frames
from tests.chassis.transport.frames import DATA, END_HEADERS, END_STREAM, HEADERS, connected, frame, header, request
from tests.chassis.transport.served import ECHO, GROW, HANG, Served, served
from tests.chassis.transport.test_calls import method
from tests.support.waiting import LIMIT_S, until

MIB = 1 << 20
# Some stop to read instead of hanging up.
STALL_S = 2.0
WATCH = "/grpc.health.v1.Health/Watch"


async def assert_serves(running: Served) -> None:
    async with running.channel() as channel:
        assert await method(channel, ECHO)(b"still", timeout=LIMIT_S) == b"still"


async def serves(running: Served) -> bool:
    try:
        await assert_serves(running)
    except grpc.aio.AioRpcError:
        return False
    return True


def memory() -> int:
    return int(psutil.Process().memory_info().rss)


GARBAGE = {
    "noise": random.Random(1).randbytes(5000),
    "HTTP/1.1": b"POST /test.Scripted/Echo HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a1"),
    "a frame that claims 16 MB": frames.MAGIC + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "DATA outside of streams": frames.MAGIC + frame(frames.SETTINGS) + frame(DATA, b"data"),
    "a stream of even number": frames.MAGIC
    + frame(frames.SETTINGS)
    + frame(HEADERS, frames.call_headers(ECHO), stream=2, flags=END_HEADERS),
    "a window beyond all bounds": frames.MAGIC
    + frame(frames.SETTINGS)
    + 2 * frame(frames.WINDOW_UPDATE, b"\x7f\xff\xff\xff"),
    "headers that are none": frames.MAGIC
    + frame(frames.SETTINGS)
    + frame(HEADERS, b"\xff" * 100, stream=1, flags=END_HEADERS),
    "settings of half a pair": frames.MAGIC + frame(frames.SETTINGS, b"abc"),
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_ends_its_own_connection(running: Served, sent: bytes) -> None:
    async with connected(running.port, magic=False) as connection:
        connection.writer.write(sent)
        with suppress(OSError):  # the server has hung up already
            connection.writer.write_eof()
        async with asyncio.timeout(LIMIT_S):
            assert await connection.is_closed()
    await assert_serves(running)
    assert running.scripted.begun == 1


async def test_a_bomb_of_headers_is_refused(running: Served) -> None:
    """A few bytes name a header of 4 000 bytes again and again."""
    big = header(b"t-big", b"a" * 4000, indexed=True)
    again = b"\xbe"  # the newest of the connection's table
    async with connected(running.port) as connection:
        before = memory()
        for stream in range(1, 200, 2):
            block = frames.call_headers(ECHO) + big + again * 10_000
            connection.writer.write(frame(HEADERS, block, stream=stream, flags=END_HEADERS | END_STREAM))
        async with asyncio.timeout(LIMIT_S):
            await connection.ended_streams(100)
        assert memory() - before < 100 * MIB
    assert running.scripted.begun == 0
    await assert_serves(running)


async def test_headers_that_never_end_are_not_kept(running: Served) -> None:
    before = memory()
    more = frame(frames.CONTINUATION, header(b"t-more", b"b" * 16_000), stream=1)
    async with connected(running.port) as connection:
        connection.writer.write(frame(HEADERS, frames.call_headers(ECHO), stream=1))
        hung_up = asyncio.create_task(connection.is_closed())
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(STALL_S):
                for _ in range(64 * MIB // len(more)):
                    if hung_up.done():
                        break
                    connection.writer.write(more)
                    await connection.writer.drain()
        hung_up.cancel()
        assert memory() - before < 32 * MIB
        await assert_serves(running)


async def test_calls_that_are_reset_at_once_leave_nothing_behind(running: Served) -> None:
    cancel = struct.pack(">I", 8)
    async with connected(running.port) as connection:
        ended = asyncio.create_task(connection.is_closed())
        for stream in range(1, 6000, 2):
            if ended.done():
                break
            with suppress(ConnectionError):
                connection.writer.write(
                    request(HANG, b"\0\0\0\0\0", stream=stream) + frame(frames.RST_STREAM, cancel, stream=stream)
                )
                await connection.writer.drain()
        ended.cancel()
    # While it works through them, grpcio cancels calls of others as well.
    await until(lambda: serves(running))
    await until(lambda: running.scripted.begun - 1 == running.scripted.cancelled)


async def test_who_reads_nothing_keeps_nobody_waiting(running: Served) -> None:
    async with connected(running.port, settings=frames.NO_WINDOW) as connection:
        size = struct.pack(">BI", 0, 5)
        for stream in range(1, 100, 2):
            connection.writer.write(request(GROW, size + b"90000", stream=stream))
        connection.writer.write(request(HANG, b"\0\0\0\0\0", stream=101))
        await until(lambda: running.scripted.begun == 1)
        await assert_serves(running)
    await until(lambda: running.scripted.cancelled == 1)


async def test_a_watcher_that_reads_nothing_stops_neither_health_nor_the_drain(transport_name: str) -> None:
    # `native` waits for as long as a drain may take at most.
    serving = served(transport_name, drain_grace_s=0)
    async with serving as running, connected(running.port, settings=frames.NO_WINDOW) as connection:
        connection.writer.write(request(WATCH, struct.pack(">BI", 0, 0)))
        async with running.channel() as channel:
            check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
            await assert_serves(running)
            for _ in range(5):
                running.health._statuses.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
                await asyncio.sleep(0.01)
                running.health._statuses.set("", health_pb2.HealthCheckResponse.SERVING)
            assert await check(b"", timeout=LIMIT_S) == b"\x08\x01"
        running.health.drain()
        await asyncio.wait_for(running.stop(), LIMIT_S)


async def test_metadata_beyond_the_limit_is_refused_and_as_much_as_the_gateway_passes_is_not(running: Served) -> None:
    async with running.channel() as channel:
        much = (("t-much", "m" * 28_000),)
        assert await method(channel, ECHO)(b"much", metadata=much[:0], timeout=LIMIT_S) == b"much"
        with pytest.raises(grpc.aio.AioRpcError):
            await method(channel, ECHO)(b"", metadata=(("t-much", "m" * 40_000),), timeout=LIMIT_S)
    assert running.scripted.begun == 1
    async with connected(running.port) as connection:
        connection.writer.write(request(HANG, b"\0\0\0\0\0", (b"t-much", b"m" * 28_000)))
        await until(lambda: running.scripted.begun == 2)
    await assert_serves(running)


async def test_a_message_that_claims_gigabytes_is_refused_before_it_comes(running: Served) -> None:
    before = psutil.Process().memory_info().vms
    async with connected(running.port) as connection:
        for stream in range(1, 200, 2):
            connection.writer.write(request(ECHO, b"\0\xff\xff\xff\xffbegin", stream=stream, ends=False))
        async with asyncio.timeout(LIMIT_S):
            assert len(await connection.ended_streams(100)) == 100
        assert psutil.Process().memory_info().vms - before < 1024 * MIB
    assert running.scripted.begun == 0
    await assert_serves(running)


async def test_a_compressed_bomb_is_refused_before_it_grows(running: Served) -> None:
    bomb = gzip.compress(bytes(90 * MIB), 9)
    assert len(bomb) < 100_000
    before = memory()
    body = struct.pack(">BI", 1, len(bomb)) + bomb
    async with connected(running.port) as connection:
        for stream in range(1, 20, 2):
            connection.writer.write(request(ECHO, body, (b"grpc-encoding", b"gzip"), stream=stream))
            async with asyncio.timeout(LIMIT_S):
                await connection.ended_streams(1)
    assert memory() - before < 60 * MIB
    assert running.scripted.begun == 0
    await assert_serves(running)


BODIES = {
    "no body": b"",
    "half a prefix": b"\0\0",
    "half a message": b"\0\0\0\0\x09half",
    "compressed by nothing": b"\x01\0\0\0\x01a",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_without_a_message_reaches_no_handler(running: Served, body: bytes) -> None:
    async with connected(running.port) as connection:
        connection.writer.write(request(ECHO, body))
        await assert_serves(running)
    assert running.scripted.begun == 1


async def test_a_body_that_does_not_come_keeps_nobody_waiting(running: Served) -> None:
    async with connected(running.port) as connection:
        for stream in range(1, 200, 2):
            connection.writer.write(request(ECHO, b"\0\0\0\0", stream=stream, ends=False))
        await assert_serves(running)


ODD_HEADERS = {
    "no UTF-8": (b"t-odd", b"\xff\xfe"),
    "no base64": (b"t-odd-bin", b"!!"),
    "no timeout": (b"grpc-timeout", b"soon"),
    "too long a timeout": (b"grpc-timeout", b"999999999999S"),
    "another type": (b"content-type", b"text/plain"),
}


@pytest.mark.parametrize("odd", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
async def test_a_header_that_cannot_be_read_ends_at_most_its_call(running: Served, odd: tuple[bytes, bytes]) -> None:
    async with connected(running.port) as connection:
        connection.writer.write(request(ECHO, b"\0\0\0\0\0", odd))
        async with asyncio.timeout(LIMIT_S):
            assert await connection.ended_streams(1) == {1}
        await assert_serves(running)
