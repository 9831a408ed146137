"""The job `archive`: each old row is copied once, with its values, whatever fails."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ridehail_servers.toll_roads.retention.archive import ArchiveFailed, open_archive_table
from ridehail_servers.toll_roads.retention.archive_store import ArchiveStore
from ridehail_servers.toll_roads.retention.job import JobStep, RowOutcome
from ridehail_servers.toll_roads.retention.rows import ArchivedChange, ArchivedTable
from tests.support.log_capture import LogCapture
from tests.support.retention import NOW, Retention, ago

# What the archive writes with.
WRITE = "ridehail_servers.toll_roads.retention.delta_archive.write_deltalake"
MICROSECOND = timedelta(microseconds=1)


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
    assert open_archive_table(retention.archive_url, ArchivedTable.LOG).rows_of(value) == [
        ArchivedChange(value, ago(30), has_toll_road=True)
    ]


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
