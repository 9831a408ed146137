"""A real Redis on a free local port, where Debian's redis-server is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import redis

from tests.support.ports import unused_port
from tests.support.tcp_proxy import TcpProxy, tcp_proxy
from tests.support.waiting import LIMIT_S, eventually

ERROR_ANSWER = b"-ERR a defect\r\n"
"""For a proxy: Redis' response to a defect."""


def is_installed() -> bool:
    return shutil.which("redis-server") is not None


class RedisServer:
    """A running server that keeps nothing on disk and has the same port after each start."""

    def __init__(self, folder: Path, *, cluster: bool = False) -> None:
        self._folder = folder
        self._cluster = cluster
        self.port = unused_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url, retry=None)
        self.start()

    def start(self) -> None:
        """Starts it, empty; returns once it accepts connections."""
        program = shutil.which("redis-server")
        assert program is not None
        options = {"--port": str(self.port), "--bind": "127.0.0.1", "--dir": str(self._folder), "--save": ""}
        if self._cluster:
            bus = unused_port()
            options |= {"--cluster-enabled": "yes", "--cluster-port": str(bus), "--cluster-config-file": f"{bus}.conf"}
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *(word for pair in options.items() for word in pair)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self.client.ping, unless=redis.RedisError)

    def stop(self) -> None:
        """Ends it as a crash would: its content is lost."""
        self._process.kill()
        self._process.wait(LIMIT_S)
        self.client.connection_pool.disconnect()


@contextmanager
def redis_server(folder: Path, *, cluster: bool = False) -> Iterator[RedisServer]:
    """Runs a server, or a node of a cluster, for the length of the block."""
    server = RedisServer(folder, cluster=cluster)
    try:
        yield server
    finally:
        server.stop()
        server.client.close()


@contextmanager
def redis_cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """Runs a cluster of two nodes, each with half of the slots, for the length of the block."""
    with redis_server(folder, cluster=True) as first, redis_server(folder, cluster=True) as second:
        first.client.cluster("ADDSLOTSRANGE", 0, 8191)
        second.client.cluster("ADDSLOTSRANGE", 8192, 16383)
        bus = second.client.config_get("cluster-port")["cluster-port"]
        first.client.cluster("MEET", "127.0.0.1", second.port, bus)
        for node in (first, second):
            eventually(partial(_knows_all_slots, node))
        yield [first, second]


def _knows_all_slots(node: RedisServer) -> bool:
    return bool(node.client.cluster("INFO")["cluster_state"] == "ok")


@contextmanager
def redis_proxy(server: RedisServer) -> Iterator[tuple[TcpProxy, str]]:
    """Runs a proxy in front of a server for the length of the block; yields it and the URL that leads through it."""
    with tcp_proxy(("127.0.0.1", server.port)) as proxy:
        yield proxy, f"redis://127.0.0.1:{proxy.port}/0"
