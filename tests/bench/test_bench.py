"""The measurements still run. What they measure is not judged here: the machine is busy with other tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import load
from bench.cases import CASES
from tests.support.folders import shared_folder

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
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=_CHECKOUT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_every_case_starts_its_servers_and_tells_its_figures_and_ratios(loadgen: Path) -> None:
    with shared_folder() as folder:
        ended = bench("--quick", "--workers", "2", "--folder", str(folder), *CASES)
    assert ended.returncode == 0, ended.stderr
    rows = {line[:20].strip(): line[20:].split() for line in ended.stdout.splitlines() if line[:1].isalnum()}
    contenders = {
        "ridehail",
        "fastapi",
        "null handler",
        "null + chassis",
        "single calls",
        "batches",
        "500 orders",
        "card",
    }
    assert contenders <= rows.keys(), ended.stdout
    for name in contenders:
        requests_per_s, *_others, p50, p99, server_us, _postgres_us, generator_us = (
            float(cell.replace(",", "")) for cell in rows[name]
        )
        assert requests_per_s > 0
        assert 0 < p50 <= p99
        assert server_us > 0
        assert generator_us > 0
    assert ended.stdout.count("(target ") == sum(len(case.goals) for case in CASES.values())


def test_a_request_that_fails_fails_the_measurement(loadgen: Path, tmp_path: Path) -> None:
    bodies = load.write_bodies(tmp_path / "bodies", [b"1", b"22"])
    nobody = load.Load("grpc", "127.0.0.1:1", "/a.B/C", bodies, {}, callers=2)
    with pytest.raises(load.LoadFailed, match=r"requests to /a\.B/C failed"):
        load.run(nobody, 0.2)


def test_an_unknown_case_is_refused_with_those_that_there_are() -> None:
    ended = bench("nonsense")
    assert ended.returncode == 2
    assert (
        "no case 'nonsense'; there are: retrieve, batch, sizes, check-eulas, list-eulas, poll-orders, taxi-on-the-way"
        in ended.stderr
    )


def test_without_go_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_BUILT", tmp_path / "loadgen")
    monkeypatch.setattr(load, "_GO_PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(load.ToolMissing, match=r"needs Go 1\.25 or newer"):
        load.built()
