"""Metrics: a damaged file of one process takes the figures of no other, and the port serves nothing else but health."""

from __future__ import annotations

import http.client
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from ridehail_servers import suite
from ridehail_servers.runtime import metrics_files
from ridehail_servers.runtime.metrics_port import MetricsAddress, damage, metrics_port
from tests.support.log_capture import LogCapture, captured_logs
from tests.support.waiting import LIMIT_S

COUNT = """
from prometheus_client import Counter, Gauge, Histogram
Counter("calls", "", ("method",)).labels("a").inc(3)
Gauge("busy", "", multiprocess_mode="livesum").set(2)
Histogram("seconds", "").observe(1)
"""


@pytest.fixture(scope="module")
def whole(sockets: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a process that has counted."""
    folder = tmp_path_factory.mktemp("metrics")
    subprocess.run(
        [sys.executable, "-c", COUNT], env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}, check=True
    )
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def log() -> Iterator[LogCapture]:
    with captured_logs() as capture:
        yield capture


@pytest.fixture
def folder(tmp_path: Path, whole: dict[str, bytes]) -> Path:
    folder = tmp_path / "metrics"
    folder.mkdir()
    for name, content in whole.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def port(sockets: None, folder: Path) -> Iterator[int]:
    with metrics_port(MetricsAddress("127.0.0.1", 0), folder) as port:
        yield port


def get(port: int, path: str = "/metrics", method: str = "GET") -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()
    finally:
        connection.close()


def entry(key: bytes) -> bytes:
    return struct.pack("i", len(key)) + key + b" " * (8 - (len(key) + 4) % 8) + struct.pack("dd", 1, 0)


def file_of(entries: bytes) -> bytes:
    return struct.pack("ii", 8 + len(entries), 0) + entries


DAMAGED = {
    "empty": b"",
    "short": b"\x01",
    "noise": b"\xff" * 100,
    "longer than it is": struct.pack("ii", 1 << 20, 0) + b"\x00" * 100,
    "an entry beyond the end": struct.pack("iii", 64, 0, 1000) + b"\x00" * 60,
    "an entry that leads back": struct.pack("iii", 64, 0, -20) + b"\x00" * 60,
    "zeroes": struct.pack("i", 64) + b"\x00" * 100,
    "no JSON": file_of(entry(b"nonsense")),
    "another JSON": file_of(entry(b"[1, 2]")),
    "labels that are none": file_of(entry(b'["a", "a", [], ""]')),
    "no text": file_of(entry(b"\xff\xfe")),
}


def test_whole_files_are_whole(whole: dict[str, bytes]) -> None:
    assert {damage(content) for content in whole.values()} == {None}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
@pytest.mark.parametrize("name", ["counter_1.db", "gauge_livesum_1.db", "histogram_1.db"])
def test_a_damaged_file_is_skipped_counted_and_logged(
    folder: Path, port: int, log: LogCapture, name: str, content: bytes
) -> None:
    (folder / name).write_bytes(content)
    for _ in range(2):
        status, _headers, body = get(port)
        assert status == 200
        assert 'calls_total{method="a"} 3.0' in body
        assert "busy 2.0" in body
        assert "ridehail_metrics_files_skipped_total 1.0" in body
    (line,) = log.events("a damaged file of metrics is skipped")
    assert (line["level"], Path(line["file"]).name) == ("error", name)


@given(position=st.integers(0, 400), noise=st.binary(min_size=1, max_size=12))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_damaged_the_rest_is_served(
    folder: Path, port: int, whole: dict[str, bytes], position: int, noise: bytes
) -> None:
    content = next(content for name, content in whole.items() if name.startswith("counter"))
    (folder / "counter_1.db").write_bytes(content[:position] + noise + content[position + len(noise) :])
    status, _headers, body = get(port)
    assert status == 200
    assert "busy 2.0" in body


READY = {pid: f"from ridehail_servers.chassis.metrics import READY; READY.set({pid})" for pid in (0, 1)}


@pytest.mark.parametrize(
    ("processes", "status"), [([1, 1], 200), ([1, 0], 503), ([], 503)], ids=["all", "not all", "none"]
)
def test_ready_are_processes_that_all_say_so(sockets: None, tmp_path: Path, processes: list[int], status: int) -> None:
    for ready in processes:
        reserved(tmp_path, READY[ready])
    with metrics_port(MetricsAddress("127.0.0.1", 0), tmp_path) as port:
        assert get(port, "/ready")[0] == status
        assert get(port, "/live")[0] == 200
        assert "ridehail_ready" not in get(port)[2]


def test_who_has_died_keeps_nobody_from_being_ready(sockets: None, tmp_path: Path) -> None:
    reserved(tmp_path, READY[1])
    died = reserved(tmp_path, READY[0])
    with metrics_port(MetricsAddress("127.0.0.1", 0), tmp_path) as port:
        assert get(port, "/ready")[0] == 503
        metrics_files.give_back(tmp_path, died)
        assert get(port, "/ready")[0] == 200


@pytest.mark.parametrize("path", ["/", "/metrics/", "/favicon.ico", "/metrics2", "/../metrics", "*"])
def test_anything_else_is_not_found(port: int, path: str) -> None:
    status, headers, body = get(port, path)
    assert (status, body) == (404, "404 Not Found\n")
    assert headers["server"] == "ridehail"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"])
def test_other_methods_are_not_served(port: int, method: str) -> None:
    status, headers, _body = get(port, method=method)
    assert status == 501
    assert headers["server"] == "ridehail"


def test_the_answer_tells_no_versions(port: int) -> None:
    status, headers, body = get(port, "/metrics?name[]=calls")
    assert status == 200
    assert "python" not in str(headers).lower() + body.lower()
    assert headers["content-type"].startswith("text/plain")


def reserved(folder: Path, *words: str) -> int:
    """Runs a process that takes room and then does something; returns its id."""
    program = f"from ridehail_servers.runtime import metrics_files; metrics_files.reserve(); {'; '.join(words)}"
    environment = {**os.environ, metrics_files.VARIABLE: str(folder)}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    assert process.wait(60) == 0
    return process.pid


@pytest.mark.integration
def test_a_process_has_the_room_for_its_figures_before_it_needs_it(tmp_path: Path) -> None:
    reserved(tmp_path, f"exec({COUNT!r})")

    files = [file.stat() for file in tmp_path.iterdir()]
    assert len(files) == len(metrics_files.KINDS)
    # A file that has fewer blocks than bytes gets them when somebody writes, or the writer gets SIGBUS.
    assert all(file.st_blocks * 512 >= file.st_size >= 1024 * 1024 for file in files)


@pytest.mark.integration
def test_an_ended_process_keeps_only_the_room_that_its_totals_use(tmp_path: Path) -> None:
    pid = reserved(tmp_path, f"exec({COUNT!r})")

    metrics_files.give_back(tmp_path, pid)

    left = {file.name.removesuffix(f"_{pid}.db"): file for file in tmp_path.iterdir()}
    assert left.keys() == {"counter", "gauge_max", "histogram"}
    assert all(damage(file.read_bytes()) is None for file in left.values())
    assert all(file.stat().st_size < 4096 for file in left.values())
    with metrics_port(MetricsAddress("127.0.0.1", 0), tmp_path) as port:
        text = get(port)[2]
    assert 'calls_total{method="a"} 3.0' in text
    assert "seconds_count 1.0" in text


def test_there_is_room_for_every_kind_of_metric_that_the_suite_has() -> None:
    for definition in suite.SERVICES.values():
        assert definition.contracts  # which loads the service
    collectors = [one for one in REGISTRY._collector_to_names if isinstance(one, Counter | Gauge | Histogram)]
    kinds = {f"gauge_{one._multiprocess_mode}" if isinstance(one, Gauge) else one._type for one in collectors}

    assert kinds <= {*metrics_files.KINDS}
    assert len(kinds) >= 4


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs /proc")
@pytest.mark.integration
def test_the_port_shows_what_each_living_process_uses(tmp_path: Path) -> None:
    processes = {"serve-1": os.getpid(), "supervisor": os.getppid(), "gone": 2**22 - 1}
    with metrics_port(MetricsAddress("127.0.0.1", 0), tmp_path, lambda: processes) as port:
        text = get(port)[2]
    for figure in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
        assert set(re.findall(rf'^process_{figure}{{process="(.*)"}}', text, re.M)) == {"serve-1", "supervisor"}
    assert text.count("# TYPE process_cpu_seconds_total counter") == 1
