"""The comparison of answers costs the rider nothing, whatever becomes of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from ridehail_servers.chassis.errors import Internal
from tests.api_proxy.personal_state.personal_state_harness import (
    COMPARE,
    READ,
    WRITE,
    StateHarness,
    configure,
    counted,
    set_experiments,
    state_harness,
)
from tests.support.fault_proxy import Forward, failing_with, hanging
from tests.support.waiting import until

# The longest that there is.
EVER_MS = 2000


def comparisons(outcome: str, kind: str = "read") -> float:
    return counted("comparisons_total", kind=kind, outcome=outcome)


@pytest.fixture
async def harness(module_harness: StateHarness) -> StateHarness:
    """A rider has another tariff in each back end, and answers are compared one at a time."""
    await module_harness.empty()
    module_harness.set_experiments()
    module_harness.configure(mode="compare", new_timeout_ms=EVER_MS, compare_queue=2, compare_workers=1)
    await module_harness.give("in-1")
    return module_harness


async def test_the_rider_does_not_wait_and_the_queue_is_bounded_and_the_end_too(
    module_database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    set_experiments(config_dir)
    configure(config_dir, mode="compare", new_timeout_ms=EVER_MS, compare_queue=2, compare_workers=1)
    dropped, compared = comparisons("dropped"), comparisons("compared")
    async with state_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=config_dir, watched=False
    ) as harness:
        await harness.empty()
        await harness.give("in-1")
        harness.new.fail(hanging, COMPARE)
        for _ in range(6):
            assert (await harness.read("in-1")).by == "old"
        await until(lambda: [one for one in harness.log if one.method == COMPARE])
        # One is under way, two wait, and for the others there was no room.
        assert comparisons("dropped") - dropped == 3
        assert counted("comparisons_waiting") == 2
    # Nobody waits for the comparisons to end: those left are given up.
    assert comparisons("dropped") - dropped == 6
    assert comparisons("compared") == compared
    assert counted("comparisons_waiting") == 0


async def test_what_waits_is_compared_as_soon_as_it_can_be(harness: StateHarness) -> None:
    is_open = asyncio.Event()

    async def once_open(forward: Forward) -> bytes:
        await is_open.wait()
        return await forward()

    harness.configure(compare_queue=10, compare_workers=2)
    dropped, compared = comparisons("dropped"), comparisons("compared")
    harness.new.fail(once_open, COMPARE)
    for _ in range(6):
        await harness.read("in-1")
    assert comparisons("compared") == compared
    is_open.set()
    await until(lambda: comparisons("compared") - compared == 6)
    assert comparisons("dropped") == dropped


async def test_a_comparison_that_fails_is_counted_and_told_to_nobody(harness: StateHarness) -> None:
    failed = comparisons("failed")
    harness.new.fail(failing_with(Internal("a-request")), COMPARE)
    assert (await harness.read("in-1")).by == "old"
    await until(lambda: comparisons("failed") == failed + 1)


async def test_a_mismatch_is_kept_under_the_request_id_with_its_place(harness: StateHarness) -> None:
    compared = comparisons("compared")
    await harness.read("in-1", request_id="mine")
    await until(lambda: comparisons("compared") == compared + 1)
    assert await harness.suite.rows(
        "SELECT request_id, kind, differences -> 0 ->> 'path' FROM user_state.mismatches"
    ) == [("mine", "read", "/selected_category")]


async def test_equal_answers_leave_no_mismatch(harness: StateHarness) -> None:
    await harness.give("in-2", old="same", new="same")
    compared, written = comparisons("compared"), comparisons("compared", "write")
    await harness.read("in-2")
    assert (await harness.write("in-2")).by == "same"
    await until(lambda: comparisons("compared") == compared + 1 and comparisons("compared", "write") == written + 1)
    # Now protocol is one revision ahead, since nothing copies here: that is no mismatch.
    await harness.read("in-2")
    await harness.write("in-2", "2")
    await until(lambda: comparisons("compared") == compared + 2 and comparisons("compared", "write") == written + 2)
    verdicts = await harness.suite.rows("SELECT verdict::text, sum(count)::int FROM user_state.comparisons GROUP BY 1")
    assert sorted(verdicts) == [("behind", 2), ("equal", 2)]
    assert await harness.suite.rows("SELECT request_id FROM user_state.mismatches") == []


# --- how long the new back end is waited for


@pytest.mark.parametrize("method", [READ, WRITE])
async def test_the_new_back_end_is_waited_for_as_long_as_configured(harness: StateHarness, method: str) -> None:
    harness.new.fail(hanging, method)

    async def seconds(configured: float) -> float:
        harness.configure(new_timeout_ms=int(configured * 1000))
        started = time.monotonic()
        got = await (harness.read("in-1") if method == READ else harness.write("in-1", "9"))
        assert got.error is None or got.error.reason == "REVISION_CONFLICT"
        return time.monotonic() - started

    short, long = await seconds(0.2), await seconds(1.5)
    assert short >= 0.19
    assert long >= 1.45
    assert short < long


async def test_a_rider_in_a_hurry_is_answered_by_the_old_back_end_in_time(harness: StateHarness) -> None:
    harness.new.fail(hanging, READ)
    assert (await harness.read("in-1", timeout=2.0)).by == "old"
