"""The comparison of answers costs the rider nothing, whatever becomes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ridehail_servers.chassis.errors import Internal
from tests.api_proxy.personal_state_world import (
    COMPARE,
    READ,
    WRITE,
    StateWorld,
    configure,
    counted,
    set_experiments,
    state_world,
)
from tests.support.recording_between import Forward, answering, hanging
from tests.support.waiting import until

# Of a busy machine.
SLACK_S = 2.0


def comparisons(outcome: str, kind: str = "read") -> float:
    return counted("comparisons_total", kind=kind, outcome=outcome)


@pytest.fixture
async def world(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[StateWorld]:
    set_experiments(config_dir)
    configure(config_dir, mode="compare", new_timeout_ms=1500, compare_queue=2, compare_workers=1)
    async with state_world(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as world:
        await world.give("in-1")
        yield world


async def test_the_rider_does_not_wait_and_the_queue_is_bounded_and_the_end_too(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    set_experiments(config_dir)
    configure(config_dir, mode="compare", new_timeout_ms=1500, compare_queue=2, compare_workers=1)
    dropped, compared = comparisons("dropped"), comparisons("compared")
    async with state_world(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as world:
        await world.give("in-1")
        world.new.faults[COMPARE] = hanging
        for _ in range(6):
            assert (await world.read("in-1", timeout=4)).by == "old"
        await until(lambda: [one for one in world.log if one.method == COMPARE])
        # One is under way, two wait, and for the others there was no room.
        assert comparisons("dropped") - dropped == 3
        assert counted("comparisons_waiting") == 2
        started = time.monotonic()
    assert time.monotonic() - started < 2 + SLACK_S
    assert comparisons("dropped") - dropped == 6
    assert comparisons("compared") == compared
    assert counted("comparisons_waiting") == 0


async def test_what_waits_at_the_end_is_compared_if_there_is_time(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    async def later(forward: Forward) -> bytes:
        await asyncio.sleep(0.1)
        return await forward()

    set_experiments(config_dir)
    configure(config_dir, mode="compare", new_timeout_ms=1500, compare_queue=10, compare_workers=2)
    dropped, compared = comparisons("dropped"), comparisons("compared")
    async with state_world(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as world:
        await world.give("in-1")
        world.new.faults[COMPARE] = later
        for _ in range(6):
            await world.read("in-1")
        # The recording server goes before what waits is compared, so what is left is passed on until then.
        await until(lambda: comparisons("compared") - compared == 6)
    assert comparisons("dropped") == dropped


async def test_a_comparison_that_fails_is_counted_and_told_to_nobody(world: StateWorld) -> None:
    failed = comparisons("failed")
    world.new.faults[COMPARE] = answering(Internal("a-request"))
    assert (await world.read("in-1")).by == "old"
    await until(lambda: comparisons("failed") == failed + 1)


async def test_a_mismatch_is_kept_under_the_request_id_with_its_place(world: StateWorld) -> None:
    compared = comparisons("compared")
    await world.read("in-1", request_id="mine")
    await until(lambda: comparisons("compared") == compared + 1)
    assert await world.suite.rows(
        "SELECT request_id, kind, differences -> 0 ->> 'path' FROM user_state.mismatches"
    ) == [("mine", "read", "/selected_category")]


async def test_equal_answers_leave_no_mismatch(world: StateWorld) -> None:
    await world.give("in-2", old="same", new="same")
    compared, written = comparisons("compared"), comparisons("compared", "write")
    await world.read("in-2")
    assert (await world.write("in-2")).by == "same"
    await until(lambda: comparisons("compared") == compared + 1 and comparisons("compared", "write") == written + 1)
    # Now protocol is one revision ahead, since nothing copies here: that is no mismatch.
    await world.read("in-2")
    await world.write("in-2", "2")
    await until(lambda: comparisons("compared") == compared + 2 and comparisons("compared", "write") == written + 2)
    verdicts = await world.suite.rows("SELECT verdict::text, sum(count)::int FROM user_state.comparisons GROUP BY 1")
    assert sorted(verdicts) == [("behind", 2), ("equal", 2)]
    assert await world.suite.rows("SELECT request_id FROM user_state.mismatches") == []


# --- how long the new back end is waited for


@pytest.mark.parametrize("method", [READ, WRITE])
async def test_the_new_back_end_is_waited_for_as_long_as_configured(world: StateWorld, method: str) -> None:
    await world.read("out-1")  # the first call of a server is slow
    world.new.faults[method] = hanging
    configure(world.suite.settings.config_dir, new_timeout_ms=200)

    async def seconds() -> float:
        started = time.monotonic()
        got = await (world.read("in-1") if method == READ else world.write("in-1", "9"))
        assert got.error is None or got.error.reason == "REVISION_CONFLICT"
        return time.monotonic() - started

    async def is_quick() -> bool:
        return 0.19 < await seconds() < 1.4

    await until(is_quick)


async def test_a_rider_in_a_hurry_is_answered_by_the_old_back_end_in_time(world: StateWorld) -> None:
    await world.read("out-1")
    world.new.faults[READ] = hanging
    configure(world.suite.settings.config_dir, new_timeout_ms=2000)
    assert (await world.read("in-1", timeout=2.0)).by == "old"
