"""The Delta Lake archive in S3, by a real server: each batch is in it once, whatever fails and however many writers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
from deltalake import DeltaTable

from ridehail_servers.toll_roads.retention.archive import ArchiveAhead, ArchiveFailed
from ridehail_servers.toll_roads.retention.delta_archive import DeltaArchiveTable
from ridehail_servers.toll_roads.retention.job import RowOutcome
from ridehail_servers.toll_roads.retention.rows import ArchivedChange, ArchivedTable
from tests.support.crash_injector import died
from tests.support.folders import shared_folder
from tests.support.retention import NOW, Retention, ago
from tests.support.s3_server import BUCKET, S3Server, s3_server
from tests.toll_roads.crashing import Job

_FOLDERS = count()


@pytest.fixture(scope="module")
def module_s3(sockets: None) -> Iterator[S3Server]:
    with shared_folder() as folder, s3_server(folder) as server:
        yield server


@pytest.fixture
def s3(module_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    module_s3.expect({})
    for name, value in module_s3.environment.items():
        monkeypatch.setenv(name, value)
    return module_s3


@pytest.fixture
def url(s3: S3Server) -> str:
    """An archive that is not there yet."""
    return f"s3://{BUCKET}/archive-{next(_FOLDERS)}"


def changes(*order_ids: str) -> list[ArchivedChange]:
    return [ArchivedChange(order_id, NOW, has_toll_road=True) for order_id in order_ids]


def order_ids(url: str) -> list[str]:
    found = DeltaTable(f"{url}/log_has_toll_road").scan(columns=["order_id"]).read_all()
    return sorted(found.column("order_id").to_pylist())


def test_a_batch_is_written_once_and_read_back(s3: S3Server, url: str) -> None:
    open_table = partial(DeltaArchiveTable, url, ArchivedTable.LOG)
    assert open_table().rows_of("a") == []
    assert open_table().last_batch() == 0
    for _ in range(2):
        open_table().write(5, changes("a", "b"))
    assert open_table().last_batch() == 5
    assert open_table().rows_of("a") == changes("a")
    assert order_ids(url) == ["a", "b"]
    day = NOW.date().isoformat()
    assert list((s3.folder / url.removeprefix("s3://") / "log_has_toll_road" / f"day={day}").glob("*.parquet"))


async def test_of_two_commits_at_the_same_time_none_is_lost(s3: S3Server, url: str) -> None:
    """The second is refused by `If-None-Match`, and by nothing else; its writer then looks what is there."""
    DeltaArchiveTable(url, ArchivedTable.LOG).last_batch()
    s3.expect({-1: "together"})
    writes = (
        asyncio.to_thread(DeltaArchiveTable(url, ArchivedTable.LOG).write, batch, changes(f"order-{batch}"))
        for batch in (1, 2)
    )
    first, second = await asyncio.gather(*writes, return_exceptions=True)
    commits = [path for method, path in s3.requests() if method == "PUT" and path.endswith(".json")]
    s3.expect({})
    assert len(commits) > len(set(commits))
    assert second is None
    assert order_ids(url) == (["order-1", "order-2"] if first is None else ["order-2"])
    assert first is None or isinstance(first, ArchiveAhead)


async def test_many_writers_of_one_batch_write_it_once(s3: S3Server, url: str) -> None:
    DeltaArchiveTable(url, ArchivedTable.LOG).last_batch()
    tables = [DeltaArchiveTable(url, ArchivedTable.LOG) for _ in range(4)]
    await asyncio.gather(*(asyncio.to_thread(table.write, 1, changes("a", "b")) for table in tables))
    assert order_ids(url) == ["a", "b"]


@pytest.mark.parametrize(
    "fault", ["lost", *(pytest.param(fault, marks=pytest.mark.long) for fault in ("unavailable", "cut"))]
)
def test_a_batch_is_written_once_whichever_request_fails(s3: S3Server, url: str, fault: str) -> None:
    table = DeltaArchiveTable(url, ArchivedTable.LOG)
    table.last_batch()
    for batch in count(1):
        s3.expect({batch - 1: fault})
        table.write(batch, changes(f"order-{batch}"))
        if len(s3.requests()) < batch:
            break  # a batch takes fewer requests
    assert batch >= 3
    assert order_ids(url) == sorted(f"order-{number}" for number in range(1, batch + 1))


def test_the_files_of_a_day_are_merged(s3: S3Server, url: str) -> None:
    table = DeltaArchiveTable(url, ArchivedTable.LOG)
    table.last_batch()
    for batch in range(1, 18):
        table.write(batch, changes(f"order-{batch}"))
    table.tidy()
    assert len(DeltaTable(table.url).file_uris()) == 1
    assert len(order_ids(url)) == 17
    assert table.last_batch() == 17


def test_a_bucket_that_is_not_there_is_an_error_without_the_secret(s3: S3Server) -> None:
    with pytest.raises(ArchiveFailed, match="the archive at s3://nowhere/x/orders failed") as failed:
        DeltaArchiveTable("s3://nowhere/x", ArchivedTable.ORDERS).write(1, [])
    assert "secret-4711" not in str(failed.value)


async def fill(retention: Retention) -> None:
    for number in range(3):
        await retention.put_order(f"order-{number}", ago(60 - number), ago(60 - number))


async def test_rows_move_to_the_bucket_and_are_deleted(retention: Retention, url: str) -> None:
    retention.archive_url = url
    await fill(retention)
    await retention.archive()
    reports = await retention.purge_orders()
    assert [key[1] for key, rows in reports.counts.items() if rows] == [RowOutcome.DELETED] * 2
    history = await retention.history("order-1")
    assert [(change.row.order_id, change.location) for change in history.changes] == [("order-1", "archive")]


@pytest.mark.slow
@pytest.mark.parametrize("every_write", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_a_job_killed_at_any_write_and_run_again_archives_each_row_once(
    retention: Retention, s3: S3Server, url: str, every_write: bool
) -> None:
    """The process dies when the store has received a request that changes something, which it then executes."""
    retention.batch_size = 2
    await fill(retention)
    job = Job("archive", retention.database_url, url, retention.now, 2, environment=s3.environment)
    s3.expect({})
    await job.trace()
    writes = [number for number, (method, _) in enumerate(s3.requests()) if method == "PUT"]
    assert len(writes) == 2 * (1 + 2 * 2)  # of two tables: the table, and for two batches a file and a commit
    # A file without its commit, and a commit that nobody knows of.
    for number in writes if every_write else writes[-2:]:
        await retention.execute("UPDATE toll_roads.orders SET archive_batch = NULL")
        await retention.execute("UPDATE toll_roads.log_has_toll_road SET archive_batch = NULL")
        await retention.execute("TRUNCATE toll_roads.archive_batches")
        retention.archive_url = f"{url}-{number}"
        s3.expect({number: "kill"})
        process = replace(job, archive_url=retention.archive_url).start()
        s3.victim(process)
        assert await asyncio.to_thread(died, process, retention.database_url), f"no request {number}"
        await retention.archive()
        assert [row[0] for row in retention.archived_orders()] == ["order-0", "order-1", "order-2"], number
        assert [row[0] for row in retention.archived_changes()] == ["order-0", "order-1", "order-2"], number
