"""The fault proxy itself: each mode shows a client what the fault would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.tcp_proxy import Mode, TcpProxy, tcp_proxy
from tests.support.waiting import until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SOON_S = 0.3


@pytest.fixture
async def echo_port(sockets: None) -> AsyncIterator[int]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def proxy(echo_port: int) -> Iterator[TcpProxy]:
    with tcp_proxy(("127.0.0.1", echo_port)) as proxy:
        yield proxy


async def connect(proxy: TcpProxy) -> Streams:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def echoed(streams: Streams, line: bytes = b"line\n") -> bytes:
    reader, writer = streams
    writer.write(line)
    return await reader.readline()


async def test_passes_in_both_directions(proxy: TcpProxy) -> None:
    assert await echoed(await connect(proxy)) == b"line\n"
    assert proxy.accepted == 1


async def test_delays_each_direction(proxy: TcpProxy) -> None:
    proxy.set(Mode.PASS, delay_s=0.1)
    streams = await connect(proxy)
    began = time.monotonic()
    assert await echoed(streams) == b"line\n"
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("mode", [Mode.HANG, Mode.BLACKHOLE])
async def test_holds_what_is_sent_until_it_passes_again(proxy: TcpProxy, mode: Mode) -> None:
    streams = await connect(proxy)
    await echoed(streams)
    proxy.set(mode)
    waiting = asyncio.create_task(echoed(streams, b"held\n"))
    done, _ = await asyncio.wait({waiting}, timeout=SOON_S)
    assert not done
    proxy.set(Mode.PASS)
    assert await waiting == b"held\n"


async def test_a_hanging_proxy_accepts_new_connections(proxy: TcpProxy) -> None:
    proxy.set(Mode.HANG)
    streams = await connect(proxy)
    await until(lambda: proxy.accepted == 1)
    proxy.set(Mode.PASS)
    assert await echoed(streams) == b"line\n"


async def test_a_black_hole_does_not_answer_new_connections(proxy: TcpProxy) -> None:
    proxy.set(Mode.BLACKHOLE)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connect(proxy), SOON_S)
    assert proxy.accepted == 0
    proxy.set(Mode.PASS)
    assert await echoed(await connect(proxy)) == b"line\n"


async def test_refusing_ends_connections_and_allows_no_new_ones(proxy: TcpProxy) -> None:
    streams = await connect(proxy)
    await echoed(streams)
    proxy.set(Mode.REFUSE)
    assert await streams[0].read() == b""
    assert proxy.connections == 0
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    proxy.set(Mode.PASS)
    assert await echoed(await connect(proxy)) == b"line\n"


async def test_resetting_resets_old_and_new_connections(proxy: TcpProxy) -> None:
    streams = await connect(proxy)
    await echoed(streams)
    proxy.set(Mode.RESET)
    with pytest.raises(ConnectionResetError):
        await streams[0].read()

    async def a_new_one_is_reset() -> bool:
        try:
            await (await connect(proxy))[0].read()
        except ConnectionResetError:
            return True
        return False  # where the reset comes while a connection is being made, the kernel may report a mere end

    await until(a_new_one_is_reset)
