"""A TCP proxy that fails the way networks and stopped servers do."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

from psycopg import conninfo

from tests.support.loop_thread import LoopThread, loop_thread

_HOST = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024
_PROBE_S = 0.1
# Closing a socket with this option sends RST instead of FIN.
_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Mode(Enum):
    """What happens to established connections and to new ones."""

    PASS = auto()
    """Both work, after the proxy's delay."""
    HANG = auto()
    """Both stay open, no byte passes: a server that is stopped (SIGSTOP). Held bytes pass once the mode is PASS."""
    BLACKHOLE = auto()
    """As HANG, but new connections get no response at all: packets are dropped."""
    REFUSE = auto()
    """Established connections are closed in order, new ones are refused: the server process has ended."""
    RESET = auto()
    """Established connections are reset, new ones are accepted and reset."""


class TcpProxy:
    """Forwards a local port, the same in every mode, to a server. Its own thread keeps a busy test from delaying it."""

    def __init__(self, thread: LoopThread, target: str | tuple[str, int]) -> None:
        """Reserves a port; `tcp_proxy` makes it serve.

        Args:
            thread: Runs the proxy.
            target: Host and port of the server, or the path of its unix socket.
        """
        self.accepted = 0
        self.mode = Mode.REFUSE
        self._thread = thread
        self._target = target
        self._delay_s = 0.0
        self._answers: bytes | None = None
        # Bound and not listening: it keeps the port ours, and connections to it are refused.
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._deaf: list[socket.socket] = []
        self._passing = asyncio.Event()
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        return len(self._connections)

    def connections_older_than(self, seconds: float) -> int:
        """Returns how many connections were accepted that long ago, and are open."""
        now = time.monotonic()
        return sum(now - connection.accepted_at > seconds for connection in tuple(self._connections))

    def set(self, mode: Mode, *, delay_s: float = 0.0, answers: bytes | None = None) -> None:
        """Changes the mode; returns once it is in force.

        Args:
            mode: The new mode.
            delay_s: Seconds that every byte takes through the proxy, in each direction.
            answers: Replaces the server's bytes, or None to pass them.
        """
        self._answers = answers
        self._thread.run(self._set(mode, delay_s))

    def close(self) -> None:
        self.set(Mode.REFUSE)
        self._reserved.close()

    async def _set(self, mode: Mode, delay_s: float) -> None:
        self.mode, self._delay_s = mode, delay_s
        if mode in (Mode.REFUSE, Mode.RESET):
            for connection in tuple(self._connections):
                connection.end(reset=mode is Mode.RESET)
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if mode is Mode.PASS:
            self._passing.set()
        else:
            self._passing.clear()
        accepts = mode in (Mode.PASS, Mode.HANG, Mode.RESET)
        if not accepts and self._server is not None:
            self._server.close()
            self._server = None
        if mode is Mode.BLACKHOLE:
            self._deaf = self._deaf or await _deaf_listener(self.port)
        else:
            while self._deaf:
                self._deaf.pop().close()
        if accepts and self._server is None:
            listener = _bound(self.port)
            self._server = await asyncio.start_server(self._serve, sock=listener, backlog=1024)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        connection = _Connection(task, writer)
        self._connections.add(connection)
        self._tasks.add(task)
        try:
            if self.mode is Mode.RESET:
                connection.reset = True
                return
            await self._passing.wait()
            server_reader, server_writer = await self._connect()
            connection.writers.append(server_writer)
            pumps = [
                asyncio.create_task(self._pump(reader, server_writer)),
                asyncio.create_task(self._pump(server_reader, writer, answers=True)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the server is away, or `end` takes the connection down: the client sees it end
        finally:
            connection.close()
            self._connections.discard(connection)
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False) -> None:
        """Forwards bytes, each chunk after the delay that was set when it arrived, until either side ends."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)

        async def read() -> None:
            chunk = b"-"
            while chunk:
                try:
                    chunk = await reader.read(_CHUNK_BYTES)
                except OSError:
                    chunk = b""
                await chunks.put((loop.time() + self._delay_s, chunk))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, chunk = await chunks.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._passing.wait()
                if not chunk:
                    return
                writer.write(self._answers if answers and self._answers is not None else chunk)
                await writer.drain()
        finally:
            reading.cancel()


class _Connection:
    """One accepted connection with the one to the server."""

    def __init__(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]
        self.reset = False
        self.accepted_at = time.monotonic()
        self._task = task

    def end(self, *, reset: bool) -> None:
        self.reset = reset
        self._task.cancel()

    def close(self) -> None:
        for writer in self.writers:
            if self.reset:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
                writer.transport.abort()
            else:
                writer.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((_HOST, port))
    return bound


async def _deaf_listener(port: int) -> list[socket.socket]:
    """Returns a listening socket and the connections that fill its queue: the kernel drops further ones."""
    listener = _bound(port)
    listener.listen(0)
    sockets = [listener]
    loop = asyncio.get_running_loop()
    for _ in range(16):
        filler = socket.socket()
        filler.setblocking(False)
        sockets.append(filler)
        try:
            await asyncio.wait_for(loop.sock_connect(filler, (_HOST, port)), _PROBE_S)
        except TimeoutError:
            return sockets
    raise AssertionError("the kernel goes on accepting connections")


@contextmanager
def tcp_proxy(target: str | tuple[str, int]) -> Iterator[TcpProxy]:
    """Runs a proxy for the length of the block, in mode PASS at first."""
    with loop_thread() as thread:
        proxy = TcpProxy(thread, target)
        proxy.set(Mode.PASS)
        try:
            yield proxy
        finally:
            proxy.close()


def postgres_target(url: str) -> str | tuple[str, int]:
    """Returns the target for a proxy to the Postgres of a URL."""
    parameters = conninfo.conninfo_to_dict(url)
    host, port = str(parameters["host"]), int(parameters.get("port") or 5432)
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def through(proxy: TcpProxy, url: str) -> str:
    """Returns the Postgres URL that leads through a proxy to the database of `url`."""
    return conninfo.make_conninfo(url, host=_HOST, port=proxy.port)
