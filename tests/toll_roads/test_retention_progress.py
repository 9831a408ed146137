"""What a job shows on a terminal and elsewhere, and its pauses."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.command_line import progress as progress_bars
from ridehail_servers.command_line.toll_roads_jobs import RowProgress
from ridehail_servers.toll_roads.retention.job import JobStep, RowOutcome, StepProgress
from tests.support.virtual_time import in_virtual_time

DELETED = StepProgress(JobStep.PURGE_LOG, RowOutcome.DELETED, 30)


def shown(*, terminal: bool) -> tuple[str, str]:
    """Returns what a run with two reports shows, and its last line."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100)
    with RowProgress({JobStep.PURGE_LOG: 60, JobStep.PURGE_ORDERS: 10}, console=console) as progress:
        progress.report(DELETED)
        progress.report(DELETED)
        progress.report(StepProgress(JobStep.PURGE_LOG, RowOutcome.KEPT, 4))
    return stream.getvalue(), progress.summary()


def test_a_terminal_shows_a_bar_for_each_step() -> None:
    text, summary = shown(terminal=True)
    assert "purge_log" in text
    assert "60 of about 60" in text
    assert "0 of about 10" in text
    assert summary == "purge_log deleted=60 kept=4, purge_orders nothing to do"


def test_a_bar_has_room_for_more_rows_than_were_estimated() -> None:
    stream = io.StringIO()
    with RowProgress({JobStep.PURGE_LOG: 40}, console=Console(file=stream, force_terminal=True, width=100)) as progress:
        progress.report(DELETED)
        progress.report(DELETED)
    assert "60 of about 60" in stream.getvalue()


def test_without_a_terminal_there_are_occasional_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    text, summary = shown(terminal=False)
    assert text == ""
    assert summary == "purge_log deleted=60 kept=4, purge_orders nothing to do"
    monkeypatch.setattr(progress_bars, "_LINE_EVERY_S", 0.0)
    text, _ = shown(terminal=False)
    assert text == "purge_log: 30 of about 60\npurge_log: 60 of about 60\n"


@in_virtual_time
async def test_a_job_pauses_in_proportion_to_its_batch_up_to_a_limit() -> None:
    clock = asyncio.get_running_loop().time

    async def seconds(rest_factor: float, work: float) -> float:
        began = clock()
        async with BatchThrottle(1, rest_factor).batch():
            await asyncio.sleep(work)
        return clock() - began

    assert await seconds(0, 0.1) == pytest.approx(0.1)
    assert await seconds(3, 0.1) == pytest.approx(0.4)
    assert await seconds(1000, 0.1) == pytest.approx(2.1)


@in_virtual_time
async def test_a_batch_that_failed_raises_without_a_pause() -> None:
    async def fail() -> None:
        async with BatchThrottle(1, rest_factor=1000).batch():
            await asyncio.sleep(0.1)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)
