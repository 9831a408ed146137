"""The measurements run. Their figures are not judged: the machine is busy with other tests."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import load
from bench.__main__ import main
from bench.cases import CASES
from tests.support.folders import shared_folder
from tests.support.waiting import TIMEOUT_FACTOR

_CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def loadgen() -> Path:
    try:
        return load.built()
    except load.ToolMissing as error:
        if shutil.which("go"):
            raise
        pytest.skip(str(error))


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    process = subprocess.Popen(command, cwd=_CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=600 * TIMEOUT_FACTOR)
    finally:
        # Interrupted, it ends its servers as well; killed, it would leave them behind.
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


CONTENDERS = {
    "retrieve": {"ridehail", "fastapi", "null handler", "null + chassis"},
    "batch": {"single calls", "batches"},
    "sizes": {"500 orders", "1,000 orders"},
    "check-eulas": {"ridehail", "fastapi", "null handler"},
    "list-eulas": {"ridehail", "fastapi", "null handler"},
    "poll-orders": {"ridehail", "fastapi", "null handler"},
    "taxi-on-the-way": {"card", "null handler"},
    "get-personal-state": {"ridehail", "fastapi", "null handler"},
    "personal-state-compare": {"both, compared", "old alone"},
}


@pytest.fixture(scope="module")
def measured(loadgen: Path) -> dict[str, list[str]]:
    """The output of a run of all cases, by case."""
    with shared_folder() as folder:
        ended = bench("--quick", "--folder", str(folder), *CASES)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told: dict[str, list[str]] = {}
    for part in ended.stdout.split("\n\n"):
        title, *lines = part.lstrip("\n").splitlines()
        told[title.rpartition(" (")[0]] = lines
    return told


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CASES)
def test_a_case_starts_its_servers_and_tells_its_figures_and_ratios(measured: dict[str, list[str]], case: str) -> None:
    lines = measured[CASES[case].title]
    rows = {name: line[20:].split() for line in lines if (name := line[:21].strip()) in CONTENDERS[case]}
    assert rows.keys() == CONTENDERS[case], lines
    for cells in rows.values():
        requests_per_s, *_others, p50, p99, server_us, _postgres_us, generator_us = (
            float(cell.replace(",", "")) for cell in cells
        )
        assert requests_per_s > 0
        assert 0 < p50 <= p99
        assert server_us > 0
        assert generator_us > 0
    assert "\n".join(lines).count("(target ") == len(CASES[case].goals)


def test_a_request_that_fails_fails_the_measurement(loadgen: Path, tmp_path: Path) -> None:
    bodies = load.write_bodies(tmp_path / "bodies", [b"1", b"22"])
    nobody = load.Load("grpc", "127.0.0.1:1", "/a.B/C", bodies, {}, callers=2)
    with pytest.raises(load.LoadFailed, match=r"requests to /a\.B/C failed"):
        load.run(nobody, 0.2)


def test_an_unknown_case_is_refused_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "nonsense"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert (
        "no case 'nonsense'; there are: retrieve, batch, sizes, check-eulas, list-eulas, poll-orders, taxi-on-the-way"
        in capsys.readouterr().err
    )


def test_without_go_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_BUILT", tmp_path / "loadgen")
    monkeypatch.setattr(load, "_GO_PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(load.ToolMissing, match=r"needs Go 1\.25 or newer"):
        load.built()
