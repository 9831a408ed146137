"""The end state is the same after kill -9 at any step and with concurrent runs: each row once in the archive."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from ridehail_servers.toll_roads.retention import archive_job
from ridehail_servers.toll_roads.retention.job import JobStep, RowOutcome
from tests.support.crash_injector import died, first_and_last
from tests.support.processes import ended_well
from tests.support.retention import Retention, ago
from tests.toll_roads.crashing import JOBS, Job

BATCH = 3
TABLES = ("archive_batches", "orders", "log_has_toll_road", "offers")


async def fill(retention: Retention) -> None:
    """Stores rows for every rule: to be kept, archived, deleted; some archived before, some late."""
    for number in range(2):
        await retention.put_order(f"ancient-{number}", ago(60 - number), ago(60 - number), ago(59 - number))
    retention.batch_size = BATCH
    await retention.archive()
    for number in range(4):
        await retention.put_order(f"archivable-{number}", ago(40 - number), ago(40 - number))
    await retention.put_order("young", ago(3), ago(3))
    await retention.put_order("switched", ago(55), ago(55), ago(2))
    await retention.put_offers(**{f"old-{n}": 25 + n for n in range(4)}, young=3)


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


def job(retention: Retention, name: str, batch_size: int = BATCH) -> Job:
    return Job(name, retention.database_url, retention.archive_url, retention.now, batch_size)


async def finish(retention: Retention) -> None:
    """Runs every job to its end."""
    await retention.archive()
    await retention.purge_offers()
    await retention.purge_orders()


async def keep(retention: Retention, folder: Path) -> None:
    """Remembers tables and archive."""
    await retention.execute("DROP SCHEMA IF EXISTS kept CASCADE")
    await retention.execute("CREATE SCHEMA kept")
    for table in TABLES:
        await retention.execute(f"CREATE TABLE kept.{table} AS TABLE toll_roads.{table}")
    shutil.rmtree(folder / "kept", ignore_errors=True)
    shutil.copytree(folder / "archive", folder / "kept")


async def put_back(retention: Retention, folder: Path) -> None:
    """Makes tables and archive what they were when they were remembered."""
    await retention.execute(f"TRUNCATE {', '.join(f'toll_roads.{table}' for table in TABLES)}")
    for table in TABLES:
        await retention.execute(f"INSERT INTO toll_roads.{table} SELECT * FROM kept.{table}")
    shutil.rmtree(folder / "archive")
    shutil.copytree(folder / "kept", folder / "archive")


@pytest.fixture
async def undisturbed(retention: Retention, tmp_path: Path) -> object:
    """The end state without crashes; tables and archive are as before, and saved."""
    await fill(retention)
    await keep(retention, tmp_path)
    await finish(retention)
    state = await end_state(retention)
    await put_back(retention, tmp_path)
    return state


async def test_the_end_state_without_crashes_follows_the_rules(undisturbed: object) -> None:
    assert isinstance(undisturbed, tuple)
    orders, changes, offers, archived_orders, archived_changes, batches = undisturbed
    assert [row[0] for row in orders] == [*(f"archivable-{n}" for n in range(4)), "switched", "young"]
    assert len(changes) == 6
    assert offers == [("young",)]
    assert len(archived_orders) == len(set(archived_orders)) == 2 + 4 + 1
    assert len(archived_changes) == len(set(archived_changes)) == 4 + 4 + 1
    assert batches == [(0, 0)]


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("every_step", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_a_job_killed_after_any_step_and_run_again_ends_the_same(
    name: str, retention: Retention, undisturbed: object, tmp_path: Path, every_step: bool
) -> None:
    """Of each kind of step the first and the last, or every single one."""
    if name == "purge_orders":
        await retention.archive()
        await keep(retention, tmp_path)
    names = await job(retention, name).trace()
    assert len(set(names)) >= 3
    for step in range(1, len(names) + 1) if every_step else first_and_last(names):
        await put_back(retention, tmp_path)
        killed = job(retention, name).start(crash_after=step)
        assert await asyncio.to_thread(died, killed, retention.database_url), f"{name} has no step {step}"
        await finish(retention)
        assert await end_state(retention) == undisturbed, f"{name} killed after step {step}, {names[step - 1]}"


@pytest.mark.parametrize(("rows", "deaths"), [(100, 3), pytest.param(400, 30, marks=pytest.mark.long)])
async def test_a_job_killed_at_random_several_times_ends_the_same(retention: Retention, rows: int, deaths: int) -> None:
    """Also in the middle of a step: between the files of a commit and the commit, say."""
    await retention.put_many(rows, oldest_h=70, youngest_h=10)
    orders, changes = await retention.stored_orders(), await retention.stored_changes()
    chance = random.Random(20261120)
    while deaths:
        process = job(retention, chance.choice(("archive", "archive", "purge_orders")), batch_size=1).start()
        await asyncio.sleep(chance.uniform(0.05, 0.3))
        process.kill()
        deaths -= await asyncio.to_thread(died, process, retention.database_url)
        if not any((await retention.archiving().due(retention.cutoffs)).values()):
            break
    retention.batch_size = rows
    await finish(retention)
    assert retention.archived_orders() == [row for row in orders if is_before(row, ago(24))]
    assert retention.archived_changes() == [row for row in changes if is_before(row, ago(24))]
    assert await retention.stored_orders() == [row for row in orders if not is_before(row, ago(48))]
    assert await retention.stored_changes() == [row for row in changes if not is_before(row, ago(48))]


def is_before(row: tuple[object, ...], timestamp: datetime) -> bool:
    created = row[1]
    assert isinstance(created, datetime)
    return created < timestamp


async def test_two_concurrent_runs_of_each_job_end_the_same(retention: Retention, undisturbed: object) -> None:
    for process in [job(retention, name).start() for name in JOBS for _ in range(2)]:
        assert await asyncio.to_thread(ended_well, process)
    await finish(retention)
    assert await end_state(retention) == undisturbed


async def test_archive_runs_that_lost_the_lock_write_each_row_once(
    retention: Retention, undisturbed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when both have lost the connections that held it: the batches and the archive itself keep them apart."""

    @asynccontextmanager
    async def no_lock(*_arguments: object) -> AsyncIterator[bool]:
        yield True

    monkeypatch.setattr(archive_job, "archive_lock", no_lock)
    retention.batch_size = 1
    reports = await asyncio.gather(*(retention.archive() for _ in range(4)))
    assert sum(one[JobStep.ARCHIVE_ORDERS, RowOutcome.ARCHIVED] for one in reports) >= 5
    retention.batch_size = BATCH
    await finish(retention)
    assert await end_state(retention) == undisturbed
