"""kill -9 at any step, and again, and two at once: the end is always the same, each row once in the archive."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from ridehail_servers.toll_roads.retention.progress import Outcome, Step
from tests.support.crashing import JOBS, ended_well, run_job
from tests.support.retention import Retention, ago

BATCH = 3
# A job of so few rows has fewer steps than this.
MANY = 100


async def fill(retention: Retention) -> None:
    """Stores rows for every rule: to be kept, archived, deleted; some archived before, some late."""
    for number in range(4):
        await retention.put_order(f"ancient-{number}", ago(60 - number), ago(60 - number), ago(59 - number))
    retention.batch_size = BATCH
    await retention.archive()
    for number in range(3):
        await retention.put_order(f"archivable-{number}", ago(40 - number), ago(40 - number))
    await retention.put_order("young", ago(3), ago(3))
    await retention.put_order("switched", ago(55), ago(55), ago(2))
    await retention.put_offers(**{f"old-{n}": 25 + n for n in range(7)}, young=3)


async def end_state(retention: Retention) -> object:
    """Returns all that a rerun must not change."""
    batches = await retention.rows(
        "SELECT count(*) FILTER (WHERE written_at IS NULL), count(*) FILTER (WHERE oldest_created_at IS NULL)"
        " FROM toll_roads.archive_batches"
    )
    return (
        await retention.stored_orders(),
        await retention.stored_changes(),
        sorted(await retention.rows("SELECT offer_id FROM toll_roads.offers")),
        retention.archived_orders(),
        retention.archived_changes(),
        batches,
    )


def start(retention: Retention, job: str, steps: int | None = None) -> BaseProcess:
    """Starts a job in a process of its own."""
    return run_job(job, retention.database_url, retention.archive_url, retention.now, batch_size=BATCH, steps=steps)


async def finish(retention: Retention) -> None:
    """Runs every job to its end."""
    retention.batch_size = BATCH
    await retention.archive()
    await retention.purge_offers()
    await retention.purge_orders()


@pytest.fixture
async def undisturbed(retention: Retention) -> object:
    """What the jobs come to when nobody disturbs them; leaves empty tables."""
    given = retention.archive_url
    retention.archive_url = f"{given}/undisturbed"
    await fill(retention)
    await finish(retention)
    state = await end_state(retention)
    await empty(retention)
    retention.archive_url = given
    return state


async def empty(retention: Retention) -> None:
    await retention.execute(
        "TRUNCATE toll_roads.log_has_toll_road, toll_roads.orders, toll_roads.offers, toll_roads.archive_batches"
    )


async def test_the_undisturbed_end_is_what_the_rules_say(undisturbed: object) -> None:
    assert isinstance(undisturbed, tuple)
    orders, changes, offers, archived_orders, archived_changes, batches = undisturbed
    assert [row[0] for row in orders] == ["archivable-0", "archivable-1", "archivable-2", "switched", "young"]
    assert len(changes) == 5
    assert offers == [("young",)]
    assert len(archived_orders) == len(set(archived_orders)) == 4 + 3 + 1
    assert len(archived_changes) == len(set(archived_changes)) == 8 + 3 + 1
    assert batches == [(0, 0)]


@pytest.mark.parametrize("job", JOBS)
async def test_killed_after_any_step_and_run_again(
    job: str, retention: Retention, undisturbed: object, tmp_path: Path
) -> None:
    for steps in range(1, MANY):
        retention.archive_url = (tmp_path / str(steps)).as_uri()
        await empty(retention)
        await fill(retention)
        if job == "purge_orders":
            await retention.archive()
        came_to_its_end = await asyncio.to_thread(ended_well, start(retention, job, steps))
        await finish(retention)
        assert await end_state(retention) == undisturbed, f"{job} killed after step {steps}"
        if came_to_its_end:
            break
    else:
        pytest.fail(f"{job} has more steps than {MANY}")
    assert steps > 5


async def test_killed_at_random_again_and_again(retention: Retention) -> None:
    """Also in the middle of a step: between the files of a commit and the commit, say."""
    await retention.put_many(400, oldest_h=70, youngest_h=10)
    orders, changes = await retention.stored_orders(), await retention.stored_changes()
    chance = random.Random(20261120)
    deaths = 0
    for _ in range(30):
        process = start(retention, chance.choice(("archive", "archive", "purge_orders")))
        await asyncio.sleep(chance.uniform(0.05, 0.3))
        process.kill()
        deaths += not await asyncio.to_thread(ended_well, process)
    assert deaths > 10
    await finish(retention)
    assert retention.archived_orders() == [row for row in orders if is_before(row, ago(24))]
    assert retention.archived_changes() == [row for row in changes if is_before(row, ago(24))]
    assert await retention.stored_orders() == [row for row in orders if not is_before(row, ago(48))]
    assert await retention.stored_changes() == [row for row in changes if not is_before(row, ago(48))]


def is_before(row: tuple[object, ...], moment: datetime) -> bool:
    created = row[1]
    assert isinstance(created, datetime)
    return created < moment


async def test_two_of_each_at_once(retention: Retention, undisturbed: object) -> None:
    await fill(retention)
    for process in [start(retention, job) for job in JOBS for _ in range(2)]:
        assert await asyncio.to_thread(ended_well, process)
    await finish(retention)
    assert await end_state(retention) == undisturbed


async def test_two_archivers_of_which_neither_has_the_lock(
    retention: Retention, undisturbed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when both have lost the connections that held it: the batches and the archive itself keep them apart."""
    from ridehail_servers.toll_roads.retention import archiving

    @asynccontextmanager
    async def no_lock(*_arguments: object) -> AsyncIterator[bool]:
        yield True

    monkeypatch.setattr(archiving, "archive_lock", no_lock)
    await fill(retention)
    retention.batch_size = 1
    reports = await asyncio.gather(*(retention.archive() for _ in range(4)))
    assert sum(one[Step.ARCHIVE_ORDERS, Outcome.ARCHIVED] for one in reports) >= 4
    await finish(retention)
    assert await end_state(retention) == undisturbed
