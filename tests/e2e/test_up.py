"""`ridehail up`: starts, stops, survives being killed, and says what is wrong in one line."""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from ridehail_clients import TollRoadsClient
from ridehail_servers import suite
from ridehail_servers.chassis import app
from ridehail_servers.chassis.config import ConfigError
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.postgres import EmbeddedPostgres, PostgresNotStarted
from tests.support.command_line import ridehail
from tests.support.installed import Install
from tests.support.up import NotReady, RunningCommand, cli, processes_of, up
from tests.support.waiting import LIMIT_S, eventually


def toll_roads(running: RunningCommand, source: str) -> TollRoadsClient:
    ticket = TicketIssuer(KeyRing(running.data_dir / "keys" / "tickets"), source)
    return TollRoadsClient(running.ready["grpc"], ticket=ticket)


def is_demo_order_there(running: RunningCommand) -> bool:
    with toll_roads(running, "api-proxy") as client:
        return bool(client.batch_retrieve_orders(order_ids=["demo-order-toll"]).orders)


CANARY = "canary-4815162342"
# None is for the log: a token, a cookie, and headers that nobody knows.
HEADERS = ("authorization: Bearer ", "cookie: ", "x-odd: ", "x-ya-service-ticket: ", "x-yandex-uid: ", "user-agent: ")


def send_bytes_that_are_no_text(running: RunningCommand) -> None:
    """Sends headers that servers cannot decode, one at a time."""
    for listener in ("http", "internal_http"):
        host, _, port = running.ready[listener].rpartition(":")
        for header in HEADERS:
            for tail in (b"\xff", "é".encode(), b""):
                with socket.create_connection((host, int(port)), timeout=LIMIT_S) as connection:
                    connection.sendall(
                        b"POST /toll-roads/v1/order/retrieve HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
                        + header.encode()
                        + CANARY.encode()
                        + tail
                        + b"\r\ncontent-length: 2\r\n\r\n{}"
                    )
                    while connection.recv(65536):
                        pass
    for header in HEADERS:
        raw_grpc_call(running.ready["grpc"], header.partition(":")[0].encode(), CANARY.encode() + b"\xff")


def raw_grpc_call(address: str, name: bytes, value: bytes) -> None:
    """Calls a server with a header of any bytes, which no gRPC client would send; returns after the response."""

    def literal(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload

    path = b"/ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
    pairs = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")]
    pairs += [(b"content-type", b"application/grpc"), (b"te", b"trailers"), (name, value)]
    headers = frame(1, 4, 1, b"".join(literal(*pair) for pair in pairs))
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + headers)
        connection.sendall(frame(0, 1, 1, b"\x00" * 5))
        stream = connection.makefile("rb")
        while len(head := stream.read(9)) == 9:
            stream.read(int.from_bytes(head[:3]))
            kind, flags, number = struct.unpack("!BBI", head[3:])
            # Trailers, a reset of the stream, or the end of the connection.
            if (number == 1 and ((kind == 1 and flags & 1) or kind == 3)) or kind == 7:
                break


def lines_of_logs(data_dir: Path) -> list[str]:
    files = sorted((data_dir / "logs").iterdir())
    assert [file for file in files if file.stat().st_mode & 0o777 != 0o600] == []
    return [line for file in files for line in file.read_text().splitlines()]


def test_a_suite_starts_fresh_ends_by_ctrl_c_is_killed_is_taken_over_and_keeps_its_data(
    data_dir: Path, embedded: Install
) -> None:
    # A data directory may have a name that a shell would split.
    odd = data_dir.with_name("my ride's (1) & more; #2")
    fresh = up(odd, "--demo")
    eventually(lambda: is_demo_order_there(fresh))
    descendants = fresh.descendants()
    assert len(descendants) == 4  # server, authorizer, worker, gateway; Postgres detaches itself
    send_bytes_that_are_no_text(fresh)
    assert fresh.stop(signal.SIGINT) == 0
    for line in lines_of_logs(odd):
        assert CANARY not in line
        assert isinstance(json.loads(line), dict), line
        assert "Fatal Python error" not in line
    for folder in ("logs", "keys", "run", "archive"):
        assert (odd / folder).stat().st_mode & 0o777 == 0o700, folder
    assert not [process for process in descendants if process.is_running()]
    assert processes_of(odd) == []

    killed = up(odd, "--workers", "2", "--cache-url", "none")
    assert is_demo_order_there(killed)
    before = set(killed.descendants())
    killed.kill()

    # By a wheel with its extra [embedded] and nothing else, so without an archive.
    heir = up(odd, script=embedded.script)
    assert is_demo_order_there(heir)
    assert not [process for process in before if process.is_running()]
    assert heir.stop(signal.SIGTERM) == 0
    assert processes_of(odd) == []


def test_a_server_that_dies_is_started_again(demo_suite: RunningCommand) -> None:
    (server,) = [process for process in demo_suite.descendants() if "serve-1" in process.cmdline()]
    server.kill()
    server.wait()
    assert eventually(lambda: is_demo_order_there(demo_suite), unless=Exception)


def test_postgres_that_dies_is_started_again_and_loses_nothing(demo_suite: RunningCommand) -> None:
    eventually(lambda: is_demo_order_there(demo_suite), unless=Exception)
    file = demo_suite.data_dir / "postgres" / "postmaster.pid"
    dead = psutil.Process(int(file.read_text().splitlines()[0]))
    dead.kill()
    assert eventually(lambda: not dead.is_running() and is_demo_order_there(demo_suite), unless=Exception)


def test_the_authorizer_decides_while_the_servers_are_stopped(demo_suite: RunningCommand) -> None:
    (server,) = [process for process in demo_suite.descendants() if "serve-1" in process.cmdline()]
    request = urllib.request.Request(
        f"http://{demo_suite.ready['http']}/3.0/zoneinfo", b"{}", {"authorization": "Bearer no-token"}
    )
    server.suspend()
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=LIMIT_S)
    finally:
        server.resume()
    assert refused.value.code == 401
    assert b"SESSION_INVALID" in refused.value.read()


def test_two_suites_do_not_share_a_data_directory(demo_suite: RunningCommand) -> None:
    with pytest.raises(NotReady, match=r"another `ridehail up` runs on"):
        up(demo_suite.data_dir)


@pytest.mark.parametrize("name", ["$HOME", "`id`", 'a"b', "a\\b"])
def test_a_data_directory_that_a_shell_would_expand_is_refused(data_dir: Path, name: str) -> None:
    with pytest.raises(PostgresNotStarted, match="the path of a data directory cannot hold"):
        EmbeddedPostgres(data_dir.with_name(name))


def test_a_taken_port_is_named(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = cli("up", "--data-dir", str(data_dir), "--grpc-port", str(port))
    assert ended.returncode == 1
    assert f"port {port} on 127.0.0.1" in ended.stderr
    assert processes_of(data_dir) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--workers", "2"), "give --cache-url redis://HOST:PORT/0, or --cache-url none"),
        (("--workers", "2", "--cache-url", ""), "give --cache-url redis://HOST:PORT/0, or --cache-url none"),
        (("--cache-url", "memcached://:secret@host"), "--cache-url: takes redis://"),
        (("--cache-url", "redis://:secret@host/0?db=one"), "--cache-url: takes redis://"),
    ],
)
@pytest.mark.parametrize("command", ["up", "serve api-proxy"])
def test_a_cache_that_the_processes_would_not_share_is_refused_in_one_line(
    tmp_path: Path, command: str, words: tuple[str, ...], complaint: str
) -> None:
    ended = ridehail(*command.split(), "--data-dir", str(tmp_path / "data"), *words)
    assert ended.returncode == 1
    assert [complaint in line for line in ended.stderr.splitlines()].count(True) == 1
    assert "secret" not in ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("toll_roads.yaml", "retrieve_by: road", "toll_roads.yaml: retrieve_by: "),
        ("toll_roads.yaml", "retrieve_bye: order", "toll_roads.yaml: retrieve_bye: Extra inputs are not permitted"),
        ("access.yaml", "callers: []\nmethods: {}", "have no entry"),
        ("flags.json", "{", "flags.json"),
        ("server.yaml", "pool: {max_size: 0}", "server.yaml: pool.max_size: "),
    ],
)
async def test_a_server_with_a_bad_file_does_not_start(
    config_dir: Path, keys_dir: Path, file: str, content: str, complaint: str
) -> None:
    (config_dir / file).write_text(content)
    settings = ProcessSettings(
        services=("toll-roads",),
        config_dir=config_dir,
        keys_dir=keys_dir,
        database_urls={"toll-roads": "postgresql:///nowhere?host=/nowhere"},
        addresses={"order-core": "127.0.0.1:1"},
    )
    with pytest.raises(ConfigError, match=re.escape(complaint)) as refused:
        async with app.build([suite.SERVICES["toll-roads"]], settings):
            pass
    assert refused.value.file == config_dir / file


def test_a_server_that_cannot_start_stops_the_suite_with_one_line_and_leaves_no_process(
    data_dir: Path, config_dir: Path
) -> None:
    (config_dir / "toll_roads.yaml").write_text("retrieve_by: road")
    with pytest.raises(NotReady) as ended:
        up(data_dir, "--config-dir", str(config_dir))
    (line,) = [line for line in str(ended.value).splitlines() if line.startswith("ridehail: ")]
    assert f"{config_dir / 'toll_roads.yaml'}: retrieve_by: " in line
    assert processes_of(data_dir) == []
