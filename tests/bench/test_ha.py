"""The campaign of failovers: its own judgement, and a short form of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.go_programs import ToolMissing
from bench.ha import tools
from bench.ha.campaign import Episode
from bench.ha.faults import KILLED, PASSES, SWITCHOVER, ClusterFault
from bench.ha.page import table_of, written_into
from bench.ha.watchdog import MachineWatchdog
from tests.support.waiting import until

KIND = "eulas"
ROOT = Path(__file__).parents[2]


def episode(fault: ClusterFault, calls: float | None, *, lost: int = 0, stale: int | None = None) -> Episode:
    return Episode(
        way="URL with all hosts",
        fault=fault.name,
        promised_s=fault.promised_s,
        calls=calls,
        tasks=1.0,
        followers=1.0,
        failed=3,
        late=0,
        reasons={},
        acknowledged=10,
        lost={KIND: lost} if lost else {},
        doubled={},
        stale=stale,
        resets=0,
    )


@pytest.mark.unit
def test_a_promise_is_kept_only_in_time_and_without_a_loss() -> None:
    assert episode(KILLED, KILLED.promised_s).kept
    assert not episode(KILLED, KILLED.promised_s + 0.1).kept
    assert not episode(KILLED, None).kept
    assert not episode(KILLED, 1.0, lost=1).kept
    assert not episode(KILLED, 1.0, stale=1).kept


@pytest.mark.unit
def test_the_table_replaces_that_of_the_last_run() -> None:
    page = "before\n<!-- by make ha -->\n\nold\n\n<!-- end -->\nafter\n"

    written = written_into(page, table_of([episode(KILLED, 3.0), episode(KILLED, 5.0), episode(SWITCHOVER, None)]))

    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in written.splitlines() if line.startswith("|")]
    assert [row[1:3] for row in rows[2:]] == [["2", "3.0, 5.0 s"], ["1", "0.0, never"], ["3", "3.0, never"]]
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "old" not in written
    assert written_into(written, []) == written_into(page, [])


@pytest.mark.unit
def test_the_campaign_has_thirty_faults_or_more() -> None:
    assert sum(len(it.faults) for it in PASSES.values()) >= 30


@pytest.fixture
def watchdog(tmp_path: Path) -> Iterator[MachineWatchdog]:
    found = MachineWatchdog(tmp_path / "watchdog", lambda: None)
    yield found
    found.stop()


async def test_the_watchdog_resets_a_machine_that_has_gone_silent(tmp_path: Path, watchdog: MachineWatchdog) -> None:
    with (tmp_path / "watchdog").open("wb", buffering=0) as device:
        device.write(b"Ctimeout=1\n")
        device.write(b"1")
        await until(lambda: watchdog.resets)


async def test_the_watchdog_leaves_a_machine_alone_that_has_closed_it(
    tmp_path: Path, watchdog: MachineWatchdog
) -> None:
    with (tmp_path / "watchdog").open("wb", buffering=0) as device:
        device.write(b"Ctimeout=600\n")
        await until(lambda: watchdog.is_armed)
        device.write(b"V")
        await until(lambda: not watchdog.is_armed)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_short_form_of_the_campaign_keeps_its_promises(tmp_path: Path) -> None:
    try:
        tools.found()
    except ToolMissing as error:
        pytest.skip(str(error))
    words = [sys.executable, "-m", "bench.ha", "--quick", "--folder", str(tmp_path)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
