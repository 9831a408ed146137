"""The archive has each row once, with its values, however many writers there are and whatever fails."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ridehail_servers.chassis.folder_url import folder_url
from ridehail_servers.toll_roads.retention.archive import ArchiveAhead, ArchiveFailed, ArchiveTable
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.job import JobStep, RowOutcome
from ridehail_servers.toll_roads.retention.rows import ArchivedChange, ArchivedOrder, ArchivedTable
from tests.support.log_capture import LogCapture
from tests.support.retention import NOW, Retention, ago

# What the archive writes with.
WRITE = "ridehail_servers.toll_roads.retention.archive.write_deltalake"
MICROSECOND = timedelta(microseconds=1)


def table_in(folder: Path, name: ArchivedTable = ArchivedTable.LOG) -> ArchiveTable:
    return ArchiveTable(folder.as_uri(), name)


def changes(*order_ids: str, created: datetime = NOW) -> list[ArchivedChange]:
    return [ArchivedChange(order_id, created, has_toll_road=True) for order_id in order_ids]


def count(folder: Path, name: str = "log_has_toll_road") -> int:
    return len(DeltaTable(folder / name).scan(columns=["order_id"]).read_all())


# --- what is archived


async def test_orders_and_changes_older_than_a_day_are_archived_with_their_values(retention: Retention) -> None:
    await retention.put_order("old", ago(25), ago(25), ago(24) - MICROSECOND)
    await retention.put_order("of that age", ago(24), ago(24))
    reports = await retention.archive()
    assert (
        reports[JobStep.ARCHIVE_ORDERS, RowOutcome.ARCHIVED],
        reports[JobStep.ARCHIVE_LOG, RowOutcome.ARCHIVED],
    ) == (1, 2)
    assert retention.archived("orders", ("order_id", "created_at", "offer_id", "can_switch_road", "day")) == [
        ("old", ago(25), "offer of old", True, ago(25).date())
    ]
    assert retention.archived("log_has_toll_road", ("order_id", "created_at", "has_toll_road", "day")) == [
        ("old", ago(25), True, ago(25).date()),
        ("old", ago(24) - MICROSECOND, False, ago(24).date()),
    ]


async def test_the_passenger_is_not_archived(retention: Retention, tmp_path: Path) -> None:
    await retention.put_order("old", ago(25), ago(25))
    await retention.archive()
    assert {field.name for field in DeltaTable(f"{retention.archive_url}/orders").schema().fields} == {
        "order_id",
        "created_at",
        "offer_id",
        "can_switch_road",
        "day",
    }
    assert all(b"uid-4711" not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


async def test_nothing_is_archived_twice_by_another_run(retention: Retention) -> None:
    await retention.put_many(10, oldest_h=60, youngest_h=25)
    await retention.archive()
    before = retention.archived_orders(), retention.archived_changes()
    reports = await retention.archive()
    assert not reports.counts
    assert (retention.archived_orders(), retention.archived_changes()) == before


async def test_a_row_that_arrives_late_is_archived_however_old(retention: Retention) -> None:
    await retention.put_order("known", ago(30), ago(30))
    await retention.archive()
    await retention.put_order("late", ago(5000), ago(5000))
    await retention.put_change("known", ago(4999), has_toll_road=False)
    await retention.archive()
    assert retention.archived_orders() == [("known", ago(30)), ("late", ago(5000))]
    assert retention.archived_changes() == [
        ("known", ago(4999), False),
        ("known", ago(30), True),
        ("late", ago(5000), True),
    ]


@pytest.mark.parametrize("value", ["", "'; DROP TABLE orders --", "Ünïcödé 😀", "a" * 128, "%s {} \\ \" ' /"])
async def test_any_id_is_read_back_unchanged(retention: Retention, value: str) -> None:
    await retention.put_order(value, ago(30), ago(30))
    await retention.archive()
    assert retention.archived_orders() == [(value, ago(30))]
    assert table_in(Path(retention.archive_url.removeprefix("file://"))).rows_of(value) == [
        ArchivedChange(value, ago(30), has_toll_road=True)
    ]


@pytest.mark.parametrize(
    "created",
    [
        datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 2, 29, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_a_timestamp_keeps_its_microseconds_and_decides_the_partition(tmp_path: Path, created: datetime) -> None:
    table = table_in(tmp_path)
    table.write(1, changes("order", created=created))
    assert table.rows_of("order") == changes("order", created=created)
    assert DeltaTable(table.url).partitions() == [{"day": created.date().isoformat()}]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrivals=st.lists(
        st.lists(
            st.tuples(st.integers(0, 8), st.sampled_from([0, 12, 23.9, 24.1, 30, 47.9, 48.1, 70, 900])), max_size=6
        ),
        max_size=5,
    ),
    waits_h=st.lists(st.sampled_from([0, 1, 13, 25]), min_size=5, max_size=5),
)
async def test_every_row_is_archived_once_before_it_is_deleted_whenever_it_arrives(
    retention: Retention,
    tmp_path_factory: pytest.TempPathFactory,
    arrivals: list[list[tuple[int, float]]],
    waits_h: list[int],
) -> None:
    """Rounds of arrivals of any age, each followed by the jobs and by some hours."""
    await retention.execute("TRUNCATE toll_roads.log_has_toll_road, toll_roads.orders, toll_roads.archive_batches")
    retention.archive_url = tmp_path_factory.mktemp("archive").as_uri()
    retention.now = NOW
    orders: dict[str, datetime] = {}
    log: set[tuple[str, datetime]] = set()
    for arrived, wait in zip(arrivals, waits_h, strict=False):
        for number, age in arrived:
            order_id, created = f"order-{number}", retention.now - timedelta(hours=age)
            if (order_id, created) in log:
                continue
            if not await retention.rows("SELECT 1 FROM toll_roads.orders WHERE order_id = %s", order_id):
                if order_id in orders:
                    continue  # gone for good: its report will not be repeated
                await retention.put_order(order_id, created)
                orders[order_id] = created
            await retention.put_change(order_id, created, has_toll_road=True)
            log.add((order_id, created))
        await retention.archive()
        await retention.purge_orders()
        old, ancient = retention.cutoffs.archive, retention.cutoffs.orders
        assert retention.archived_orders() == sorted(row for row in orders.items() if row[1] < old)
        assert [row[:2] for row in retention.archived_changes()] == sorted(row for row in log if row[1] < old)
        left = {(row[0], row[1]) for row in await retention.stored_changes()}
        assert left == {row for row in log if row[1] >= ancient}
        assert set(await retention.stored_orders()) == {
            (order_id, created)
            for order_id, created in orders.items()
            if created >= ancient or any(row[0] == order_id for row in left)
        }
        retention.now += timedelta(hours=wait)


def test_a_batch_is_on_the_disk_before_it_counts_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table_in(tmp_path).write(1, changes("first"))
    known = set(tmp_path.rglob("*"))
    synced = set[Path]()
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    table_in(tmp_path).write(2, changes("second", created=NOW) + changes("second", created=ago(24)))
    new = {path for path in tmp_path.rglob("*") if path not in known}
    assert {path.suffix for path in new} == {"", ".json", ".parquet"}
    assert new <= synced
    assert tmp_path / "log_has_toll_road" / "_delta_log" in synced

    everything: list[bool] = []
    monkeypatch.setattr(os, "sync", lambda: everything.append(True))
    table_in(tmp_path).write(2, changes("second"))
    assert everything


# --- many writers


def test_a_batch_is_written_once_however_often_it_is_attempted(tmp_path: Path) -> None:
    for _ in range(3):
        table_in(tmp_path).write(5, changes("order"))
    table = table_in(tmp_path)
    table.write(5, changes("order"))
    table.write(6, changes("other"))
    assert table.last_batch() == 6
    assert count(tmp_path) == 2


def test_a_batch_that_the_archive_may_have_already_is_not_written(tmp_path: Path) -> None:
    table_in(tmp_path).write(7, changes("order"))
    with pytest.raises(ArchiveAhead):
        table_in(tmp_path).write(6, changes("other"))
    assert count(tmp_path) == 1


def test_a_writer_overtaken_by_a_later_batch_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has looked, and found its batch missing; before its commit, another one writes the same batch."""
    table_in(tmp_path).write(1, changes("first"))
    slow, refused = table_in(tmp_path), list[CommitFailedError]()
    real: Any = write_deltalake

    def overtaken(*arguments: object, **named: object) -> None:
        monkeypatch.setattr(WRITE, real)
        table_in(tmp_path).write(2, changes("second"))
        try:
            real(*arguments, **named)
        except CommitFailedError as error:
            refused.append(error)
            raise

    monkeypatch.setattr(WRITE, overtaken)
    slow.write(2, changes("second"))
    assert len(refused) == 1
    assert count(tmp_path) == 2


async def test_many_writers_of_one_batch_write_it_once(tmp_path: Path) -> None:
    for batch in range(1, 6):
        tables = [table_in(tmp_path) for _ in range(4)]
        rows = changes(*(f"{batch}-{n}" for n in range(3)))
        await asyncio.gather(*(asyncio.to_thread(table.write, batch, rows) for table in tables))
    assert count(tmp_path) == 15


async def test_a_second_concurrent_run_does_nothing(retention: Retention, log: LogCapture) -> None:
    await retention.put_order("old", ago(30), ago(30))
    async with retention.database.connection() as other:
        assert await ArchiveStore().try_lock(other)
        assert not await retention.archiving().run(retention.cutoffs, retention.throttle, lambda _: None)
        assert log.events("another run is archiving")
        await ArchiveStore().unlock(other)
    assert await retention.archiving().run(retention.cutoffs, retention.throttle, lambda _: None)
    assert len(retention.archived_orders()) == 1


async def test_a_database_restored_to_an_earlier_state_loses_no_row(retention: Retention, log: LogCapture) -> None:
    # given: a batch that was open when the copy of the database was made, and that the archive is past
    await retention.put_order("copied", ago(40), ago(40))
    await retention.archive()
    await retention.put_order("later", ago(39), ago(39))
    await retention.archive()
    await retention.execute(
        "UPDATE toll_roads.archive_batches SET written_at = NULL"
        " WHERE batch IN (SELECT min(batch) FROM toll_roads.archive_batches GROUP BY table_name)"
    )
    await retention.execute("DELETE FROM toll_roads.archive_batches WHERE written_at IS NOT NULL")
    await retention.execute("UPDATE toll_roads.orders SET archive_batch = NULL WHERE order_id = 'later'")
    await retention.execute("UPDATE toll_roads.log_has_toll_road SET archive_batch = NULL WHERE order_id = 'later'")
    await retention.put_order("new", ago(38), ago(38))
    # when
    await retention.archive()
    # then: twice rather than never
    assert {row[0] for row in retention.archived_orders()} == {"copied", "later", "new"}
    assert Counter(row[0] for row in retention.archived_orders())["new"] == 1
    assert log.events("the archive is ahead of the database")
    assert await retention.rows("SELECT 1 FROM toll_roads.orders WHERE archive_batch IS NULL") == []
    assert [change.row.order_id for change in (await retention.history("copied")).changes] == ["copied"]


async def test_a_new_archive_of_an_old_database_receives_the_new_rows(retention: Retention, tmp_path: Path) -> None:
    await retention.put_order("first", ago(40), ago(40))
    await retention.archive()
    retention.archive_url = (tmp_path / "elsewhere").as_uri()
    await retention.put_order("second", ago(40), ago(40))
    await retention.archive()
    assert [row[0] for row in retention.archived_orders()] == ["second"]


# --- an archive that fails


async def test_no_row_is_lost_if_the_archive_cannot_be_written(retention: Retention, tmp_path: Path) -> None:
    await retention.put_many(10, oldest_h=60, youngest_h=49)
    target, blocked = retention.archive_url, tmp_path / "blocked"
    blocked.write_text("no folder")
    retention.archive_url = f"{blocked.as_uri()}/archive"
    with pytest.raises(ArchiveFailed, match=r"the archive at file:.*/orders failed"):
        await retention.archive()
    reports = await retention.purge_orders()
    assert len(await retention.stored_orders()) == len(await retention.stored_changes()) == 10
    assert reports[JobStep.PURGE_ORDERS, RowOutcome.KEPT] == 10
    # once it can be written again, all is well
    retention.archive_url = target
    await retention.archive()
    await retention.purge_orders()
    assert len(retention.archived_orders()) == len(retention.archived_changes()) == 10
    assert await retention.stored_orders() == []


async def test_the_next_run_completes_a_write_that_failed_halfway(
    retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    await retention.put_many(10, oldest_h=60, youngest_h=49)
    real: Any = write_deltalake
    calls: list[int] = []

    def failing(*arguments: object, **named: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("No space left on device")
        real(*arguments, **named)

    monkeypatch.setattr(WRITE, failing)
    with pytest.raises(ArchiveFailed, match="No space left"):
        await retention.archive()
    assert len(retention.archived_orders()) == retention.batch_size
    await retention.archive()
    assert len(retention.archived_orders()) == len(set(retention.archived_orders())) == 10


# --- files


def test_the_files_of_a_day_are_merged_and_stay_readable_for_a_day(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    day, other_day = NOW, NOW - timedelta(days=1)
    for batch in range(1, 61):
        table.write(batch, changes(f"order-{batch}", created=day) + changes(f"order-{batch}", created=other_day))
        if batch == 20:
            reader = DeltaTable(table.url)
            files = reader.file_uris()
        if batch % 10 == 0:
            table.tidy()
            found = Counter(DeltaTable(table.url).get_add_actions(flatten=True).column("partition.day").to_pylist())
            assert set(found) == {day.date(), other_day.date()}
            assert max(found.values()) <= 16
    assert count(tmp_path) == 120
    assert table.last_batch() == 60
    # A reader of an earlier state still finds its files.
    assert all(Path(file).exists() for file in files)
    assert len(reader.scan(columns=["order_id"]).read_all()) == 40


def test_files_of_killed_writers_are_removed_after_a_day(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    for batch in range(1, 20):
        table.write(batch, changes(f"order-{batch}"))
    day = tmp_path / "log_has_toll_road" / f"day={NOW.date().isoformat()}"
    old, young = day / "part-old.parquet", day / "part-young.parquet"
    for file in (old, young):
        file.write_bytes(b"half a file")
    two_days_ago = datetime.now().timestamp() - 2 * 86400  # noqa: DTZ005  # a file's time has no zone
    os.utime(old, (two_days_ago, two_days_ago))
    table.tidy()
    assert not old.exists()
    assert young.exists()
    assert count(tmp_path) == 19


def test_the_last_batch_is_known_after_the_commit_log_was_truncated(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    for batch in range(1, 56):
        table.write(batch, changes(f"order-{batch}"))
    table.tidy()
    assert list((tmp_path / "log_has_toll_road/_delta_log").glob("*.checkpoint.parquet"))
    shortened = DeltaTable(table.url)
    shortened.create_checkpoint()
    for commit in sorted((tmp_path / "log_has_toll_road/_delta_log").glob("*.json"))[:-1]:
        commit.unlink()
    again = table_in(tmp_path)
    assert again.last_batch() == 55
    again.write(55, changes("order-55"))
    assert count(tmp_path) == 55


# --- where it is


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("/var/lib/archive", "file:///var/lib/archive"),
        ("/var/lib/with space/%41", "file:///var/lib/with%20space/%2541"),
        ("file:/var/lib/archive", "file:///var/lib/archive"),
        ("file:///var/lib/with%20space/", "file:///var/lib/with%20space"),
        ("file://localhost/var", "file:///var"),
        ("file:archive", f"{Path.cwd().as_uri()}/archive"),
        ("archive", f"{Path.cwd().as_uri()}/archive"),
        ("s3://bucket/folder/", "s3://bucket/folder"),
        ("gs://bucket", "gs://bucket"),
    ],
)
def test_a_folder_is_named_by_path_or_url(given: str, url: str) -> None:
    assert folder_url(given) == url


@pytest.mark.parametrize(
    "given",
    ["", " ", "file:", "file://", "file://elsewhere/x", "s3:", "s3://", "s3:///x", "s3://a b", "http://x/y",
     "memory://x", "nonsense:", "postgresql://x", "a\0b", "file:a\0b", "s3:/bucket/x"],
)  # fmt: skip
def test_an_archive_url_without_a_permanent_folder_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"needed|another machine"):
        folder_url(given)


def test_a_folder_with_special_characters_is_the_same_for_every_reader(tmp_path: Path) -> None:
    folder = tmp_path / "with space, 100% ünïcode"
    table = ArchiveTable(folder_url(str(folder)), ArchivedTable.ORDERS)
    row = ArchivedOrder("order", NOW, None, can_switch_road=False)
    table.write(1, [row])
    assert (folder / "orders" / "_delta_log").is_dir()
    assert table.rows_of("order") == [row]
    counted = duckdb.from_arrow(DeltaTable(table.url).scan()).aggregate("day, count(*)").fetchall()
    assert counted == [(NOW.date(), 1)]
    assert date.fromisoformat(DeltaTable(table.url).partitions()[0]["day"]) == NOW.date()
