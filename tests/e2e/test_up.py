"""`ridehail up`: starts, stops, survives being killed, and says what is wrong in one line."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import struct
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from ridehail_clients import TollRoadsClient
from ridehail_servers import resources
from tests.support.up import NotReady, RunningCommand, cli, processes_of, up
from tests.support.waiting import eventually


def toll_roads(running: RunningCommand, data_dir: Path, source: str) -> TollRoadsClient:
    ticket = cli("ticket", "--src", source, "--dst", "toll-roads", "--data-dir", str(data_dir)).stdout.strip()
    return TollRoadsClient(running.ready["grpc"], ticket=lambda _destination: ticket)


def is_demo_order_there(running: RunningCommand, data_dir: Path) -> bool:
    with toll_roads(running, data_dir, "api-proxy") as client:
        return bool(client.batch_retrieve_orders(order_ids=["demo-order-toll"]).orders)


CANARY = "canary-4815162342"
# None is for the log: a token, a cookie, and headers that nobody knows.
HEADERS = ("authorization: Bearer ", "cookie: ", "x-odd: ", "x-ya-service-ticket: ", "x-yandex-uid: ", "user-agent: ")


def send_bytes_that_are_no_text(running: RunningCommand) -> None:
    """Sends what the servers cannot decode, each header by itself."""
    for listener in ("http", "internal_http"):
        host, _, port = running.ready[listener].rpartition(":")
        for header in HEADERS:
            for tail in (b"\xff", "é".encode(), b""):
                with socket.create_connection((host, int(port)), timeout=20) as connection:
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
    """Calls a server with a header of any bytes, which no gRPC client would send; returns once it has answered."""

    def literal(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload

    path = b"/ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
    pairs = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x")]
    pairs += [(b"content-type", b"application/grpc"), (b"te", b"trailers"), (name, value)]
    headers = frame(1, 4, 1, b"".join(literal(*pair) for pair in pairs))
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + headers)
        connection.sendall(frame(0, 1, 1, b"\x00" * 5))
        stream = connection.makefile("rb")
        while len(head := stream.read(9)) == 9:
            stream.read(int.from_bytes(head[:3]))
            kind, flags, number = struct.unpack("!BBI", head[3:])
            # Trailers, a reset of the stream, or the end of the connection.
            if (number == 1 and ((kind == 1 and flags & 1) or kind == 3)) or kind == 7:
                break


def test_a_fresh_suite_is_ready_within_30_s_and_ctrl_c_leaves_no_process_but_the_data(data_dir: Path) -> None:
    running = up(data_dir, "--demo")
    assert running.started_in_s < 30
    eventually(lambda: is_demo_order_there(running, data_dir))
    descendants = running.descendants()
    assert len(descendants) == 4  # server, authorizer, worker, gateway; Postgres detaches itself
    send_bytes_that_are_no_text(running)
    assert running.stop(signal.SIGINT) == 0
    for file in (data_dir / "logs").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
        assert CANARY not in file.read_text(), file
        for line in file.read_text().splitlines():
            assert isinstance(json.loads(line), dict), (file, line)
            assert "Fatal Python error" not in line, (file, line)
    for folder in ("logs", "keys", "run", "archive"):
        assert (data_dir / folder).stat().st_mode & 0o777 == 0o700, folder
    assert not [process for process in descendants if process.is_running()]
    assert processes_of(data_dir) == []

    again = up(data_dir)
    assert is_demo_order_there(again, data_dir)
    assert again.stop(signal.SIGTERM) == 0
    assert processes_of(data_dir) == []


def test_a_data_directory_may_have_a_name_that_a_shell_would_split(data_dir: Path) -> None:
    odd = data_dir.with_name("my ride's (1) & more; #2")
    for _ in range(2):
        running = up(odd, "--demo")
        assert is_demo_order_there(running, odd)
        assert running.stop() == 0


@pytest.mark.parametrize("name", ["$HOME", "`id`", 'a"b', "a\\b"])
def test_a_data_directory_that_a_shell_would_expand_is_refused_in_one_line(data_dir: Path, name: str) -> None:
    ended = cli("up", "--data-dir", str(data_dir.with_name(name)), "--metrics-port", "0", "--grpc-port", "0")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("ridehail: the path of a data directory cannot hold")


def test_after_kill_9_of_the_parent_a_new_up_takes_over(data_dir: Path) -> None:
    killed = up(data_dir, "--demo", "--workers", "2", "--cache-url", "none")
    eventually(lambda: is_demo_order_there(killed, data_dir))
    before = {process.pid for process in killed.descendants()}
    killed.kill()

    running = up(data_dir)
    assert is_demo_order_there(running, data_dir)
    survivors = before & {process.pid for process in psutil.process_iter()} - {
        process.pid for process in psutil.process_iter() if process.name() == "postgres"
    }
    assert survivors == set()
    assert running.stop() == 0
    assert processes_of(data_dir) == []


def test_a_server_that_dies_is_started_again(data_dir: Path) -> None:
    running = up(data_dir, "--demo")
    eventually(lambda: is_demo_order_there(running, data_dir))
    (server,) = [process for process in running.descendants() if "serve-1" in process.cmdline()]
    server.kill()
    assert eventually(lambda: is_demo_order_there(running, data_dir), unless=Exception)
    assert running.stop() == 0


def test_the_authorizer_judges_while_the_servers_do_nothing(data_dir: Path) -> None:
    running = up(data_dir)
    (server,) = [process for process in running.descendants() if "serve-1" in process.cmdline()]
    request = urllib.request.Request(
        f"http://{running.ready['http']}/3.0/zoneinfo", b"{}", {"authorization": "Bearer no-token"}
    )
    server.suspend()
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
    finally:
        server.resume()
    assert refused.value.code == 401
    assert b"SESSION_INVALID" in refused.value.read()
    assert running.stop() == 0


def test_postgres_that_dies_is_started_again_and_loses_nothing(data_dir: Path) -> None:
    running = up(data_dir, "--demo")
    eventually(lambda: is_demo_order_there(running, data_dir))
    postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    psutil.Process(postmaster).kill()
    assert eventually(lambda: is_demo_order_there(running, data_dir), unless=Exception)
    assert running.stop() == 0
    assert processes_of(data_dir) == []


def test_two_suites_do_not_share_a_data_directory(data_dir: Path) -> None:
    running = up(data_dir)
    with pytest.raises(NotReady, match=r"another `ridehail up` runs on"):
        up(data_dir)
    assert running.stop() == 0


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
def test_a_cache_that_the_processes_would_not_share_is_refused_in_one_line(
    data_dir: Path, words: tuple[str, ...], complaint: str
) -> None:
    ended = cli("up", "--data-dir", str(data_dir), *words)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert complaint in line
    assert "secret" not in ended.stderr
    served = cli("serve", "api-proxy", "--data-dir", str(data_dir), *words)
    assert served.returncode == 1
    assert complaint in served.stderr
    assert "secret" not in served.stderr
    assert not data_dir.exists()


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("toll_roads.yaml", "retrieve_by: road", "toll_roads.yaml: retrieve_by: "),
        ("toll_roads.yaml", "retrieve_bye: order", "toll_roads.yaml: retrieve_bye: Extra inputs are not permitted"),
        ("access.yaml", "callers: []\nmethods: {}", "has no entry"),
        ("flags.json", "{", "flags.json"),
        ("server.yaml", "pool: {max_size: 0}", "server.yaml: pool.max_size: "),
    ],
)
def test_a_bad_configuration_stops_the_start_with_one_line_and_leaves_nothing_behind(
    data_dir: Path, tmp_path: Path, file: str, content: str, complaint: str
) -> None:
    config = Path(shutil.copytree(resources.folder("config"), tmp_path / "config"))
    (config / file).write_text(content)
    ports = ("--grpc-port", "0", "--http-port", "0", "--internal-http-port", "0", "--metrics-port", "0")
    ended = cli("up", "--data-dir", str(data_dir), "--config-dir", str(config), *ports)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("ridehail: ")]
    assert f"/{file}" in line
    assert complaint in line
    assert processes_of(data_dir) == []
