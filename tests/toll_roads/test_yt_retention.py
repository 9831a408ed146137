"""The retention jobs with their archive in a YTsaurus cluster: each row is in it once after kill -9 at any request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Queue

import pytest

from ridehail_servers.toll_roads.retention import archive_job
from ridehail_servers.toll_roads.retention.archive import ArchiveFailed, open_archive_table
from ridehail_servers.toll_roads.retention.job import JobStep, RowOutcome
from ridehail_servers.toll_roads.retention.rows import ArchivedTable
from ridehail_servers.toll_roads.retention.yt_archive import YtArchiveTable
from tests.support.crash_injector import died
from tests.support.retention import Retention, ago
from tests.toll_roads.crashing import Job
from tests.toll_roads.yt_harness import QUICK, YtHarness


@pytest.fixture
def to_yt(retention: Retention, yt: YtHarness) -> Retention:
    retention.archive_url = yt.url
    retention.open_table = partial(YtArchiveTable, timeouts=QUICK)
    return retention


async def fill(retention: Retention) -> None:
    """Stores two orders to be archived, of which one is also to be deleted, and a young one."""
    await retention.put_order("ancient", ago(60), ago(60), ago(59))
    await retention.put_order("archivable", ago(30), ago(30))
    await retention.put_order("young", ago(3), ago(3))


def archived(yt: YtHarness) -> tuple[list[object], list[object]]:
    return yt.order_ids(ArchivedTable.ORDERS), yt.order_ids(ArchivedTable.LOG)


# Between two days of a batch, before its number, and with its commit under way.
TELLING = [("write_table", 1), ("set", 0), ("commit_transaction", 2)]
ALL = (["ancient", "archivable"], ["ancient", "ancient", "archivable"])


async def test_rows_move_to_the_cluster_and_are_found_wherever_they_are(to_yt: Retention, yt: YtHarness) -> None:
    await fill(to_yt)
    reports = await to_yt.archive()
    assert reports[JobStep.ARCHIVE_LOG, RowOutcome.ARCHIVED] == 3
    assert archived(yt) == ALL
    assert yt.archived(ArchivedTable.LOG, ("order_id", "has_toll_road")) == [
        ("ancient", False),
        ("ancient", True),
        ("archivable", True),
    ]
    await to_yt.purge_orders()
    history = await to_yt.history("ancient")
    assert history.order is not None
    assert history.order.location == "archive"
    assert [(change.row.created_at, change.location) for change in history.changes] == [
        (ago(60), "archive"),
        (ago(59), "archive"),
    ]
    assert (await to_yt.history("archivable")).changes[0].location == "database and archive"
    assert not (await to_yt.archive()).counts
    assert archived(yt) == ALL


async def test_the_passenger_is_not_archived(to_yt: Retention, yt: YtHarness) -> None:
    await fill(to_yt)
    await to_yt.archive()
    assert "uid-4711" not in f"{yt.cluster.requests}{yt.cluster.tables('//home/ridehail/orders')}"


async def test_an_order_is_found_in_the_archive_from_before_a_move_too(
    to_yt: Retention, yt: YtHarness, tmp_path: Path
) -> None:
    to_yt.open_table = open_archive_table
    await to_yt.put_order("order", ago(60), ago(60))
    to_yt.archive_url = (tmp_path / "archive").as_uri()
    await to_yt.archive()
    to_yt.archive_url, to_yt.moved_from = yt.url, [to_yt.archive_url]
    await to_yt.put_change("order", ago(50), has_toll_road=False)
    await to_yt.archive()
    await to_yt.purge_orders()
    assert yt.order_ids(ArchivedTable.LOG) == ["order"]
    history = await to_yt.history("order")
    assert history.order is not None
    assert [(change.row.created_at, change.location) for change in history.changes] == [
        (ago(60), "archive"),
        (ago(50), "archive"),
    ]


async def test_no_row_is_lost_while_the_cluster_is_away(to_yt: Retention, yt: YtHarness) -> None:
    await fill(to_yt)
    url, to_yt.archive_url = to_yt.archive_url, "yt://127.0.0.1:1/home/ridehail?tls=off"
    to_yt.open_table = partial(YtArchiveTable, timeouts=replace(QUICK, total_s=0.1))
    with pytest.raises(ArchiveFailed, match=r"the archive at yt://127\.0\.0\.1:1/home/ridehail/orders failed"):
        await to_yt.archive()
    assert (await to_yt.purge_orders())[JobStep.PURGE_ORDERS, RowOutcome.KEPT] == 1
    to_yt.archive_url = url
    await to_yt.archive()
    assert archived(yt) == ALL


async def test_a_database_restored_to_an_earlier_state_loses_no_row(to_yt: Retention, yt: YtHarness) -> None:
    await to_yt.put_order("copied", ago(40), ago(40))
    await to_yt.archive()
    await to_yt.put_order("later", ago(39), ago(39))
    await to_yt.archive()
    await to_yt.execute(
        "UPDATE toll_roads.archive_batches SET written_at = NULL"
        " WHERE batch IN (SELECT min(batch) FROM toll_roads.archive_batches GROUP BY table_name)"
    )
    await to_yt.execute("DELETE FROM toll_roads.archive_batches WHERE written_at IS NOT NULL")
    await to_yt.execute("UPDATE toll_roads.orders SET archive_batch = NULL WHERE order_id = 'later'")
    await to_yt.archive()
    assert set(yt.order_ids(ArchivedTable.ORDERS)) == {"copied", "later"}
    assert await to_yt.rows("SELECT 1 FROM toll_roads.orders WHERE archive_batch IS NULL") == []


def kill(started: Queue[BaseProcess]) -> None:
    started.get().kill()


@pytest.mark.slow
@pytest.mark.parametrize("every_request", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_a_job_killed_at_any_request_and_run_again_archives_each_row_once(
    to_yt: Retention, yt: YtHarness, every_request: bool
) -> None:
    """The process dies when the cluster has received a request, which the cluster then executes if it is whole."""
    await fill(to_yt)
    job = Job("archive", to_yt.database_url, yt.url, to_yt.now, batch_size=2)
    await job.trace()
    assert archived(yt) == ALL
    names = Counter(command for command, _ in yt.cluster.requests if command not in {"ping_transaction", "get"})
    assert names["commit_transaction"] == 3
    requests = [(name, number) for name, count in names.items() for number in range(count)]
    for name, number in requests if every_request else TELLING:
        yt.reset()
        await to_yt.execute("UPDATE toll_roads.orders SET archive_batch = NULL")
        await to_yt.execute("UPDATE toll_roads.log_has_toll_road SET archive_batch = NULL")
        await to_yt.execute("TRUNCATE toll_roads.archive_batches")
        started = Queue[BaseProcess]()
        yt.fault(name, partial(kill, started), skip=number)
        process = job.start()
        started.put(process)
        assert await asyncio.to_thread(died, process, to_yt.database_url), f"no request {number} for {name}"
        await to_yt.archive()
        assert archived(yt) == ALL, f"killed at request {number} for {name}"


async def test_archive_runs_that_lost_the_lock_write_each_row_once(
    to_yt: Retention, yt: YtHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def no_lock(*_arguments: object) -> AsyncIterator[bool]:
        yield True

    monkeypatch.setattr(archive_job, "archive_lock", no_lock)
    await fill(to_yt)
    to_yt.batch_size = 1
    await asyncio.gather(*(to_yt.archive() for _ in range(3)))
    assert archived(yt) == ALL


async def test_a_row_of_every_day_goes_to_the_table_of_its_day(to_yt: Retention, yt: YtHarness) -> None:
    await to_yt.put_many(12, oldest_h=120, youngest_h=25)
    to_yt.batch_size = 12
    await to_yt.archive()
    days = {(ago(120) + timedelta(hours=95 * n / 12)).date().isoformat() for n in range(1, 13)}
    assert set(yt.cluster.tables("//home/ridehail/orders")) == days
