"""The history of an order, from database and archive together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail_servers.chassis.errors import OrderNotFound
from ridehail_servers.toll_roads.retention.archive import ArchiveFailed, open_archive_table
from ridehail_servers.toll_roads.retention.history import OrderHistory, RowLocation, merged
from ridehail_servers.toll_roads.retention.rows import ArchivedChange, ArchivedOrder, ArchivedTable
from tests.support.retention import NOW, Retention, ago


def located(history: OrderHistory) -> tuple[str | None, list[tuple[float, bool, str]]]:
    """Returns the location of the order, and age, road and location of each change."""
    hour = timedelta(hours=1)
    return (
        history.order.location.value if history.order else None,
        [
            ((NOW - change.row.created_at) / hour, change.row.has_toll_road, change.location.value)
            for change in history.changes
        ],
    )


async def test_a_young_order_is_in_the_database(retention: Retention) -> None:
    await retention.put_order("order", ago(2), ago(2), ago(1))
    history = await retention.history("order")
    assert located(history) == ("database", [(2, True, "database"), (1, False, "database")])
    assert history.order is not None
    assert history.order.row == ArchivedOrder("order", ago(2), "offer of order", can_switch_road=True)


async def test_an_archived_order_is_in_both_and_later_in_the_archive_only(retention: Retention) -> None:
    await retention.put_order("order", ago(50), ago(50), ago(49))
    await retention.archive()
    both = "database and archive"
    assert located(await retention.history("order")) == (both, [(50, True, both), (49, False, both)])
    await retention.purge_orders()
    assert located(await retention.history("order")) == ("archive", [(50, True, "archive"), (49, False, "archive")])


async def test_an_order_saved_again_after_archiving_is_shown_in_its_later_version(retention: Retention) -> None:
    await retention.put_order("order", ago(60), ago(60))
    await retention.archive()
    await retention.purge_orders()
    await retention.put_order("order", ago(2), ago(2))
    history = await retention.history("order")
    assert history.order is not None
    assert (history.order.row.created_at, history.order.location.value) == (ago(2), "database")


async def test_changes_of_every_age_are_listed_by_created(retention: Retention) -> None:
    await retention.put_order("order", ago(60), ago(60), ago(30), ago(1))
    await retention.archive()
    await retention.purge_orders()
    await retention.put_change("order", ago(70), has_toll_road=True)  # late
    assert located(await retention.history("order")) == (
        "database and archive",
        [
            (70, True, "database"),
            (60, True, "archive"),
            (30, False, "database and archive"),
            (1, True, "database"),
        ],
    )


async def test_other_orders_are_not_listed(retention: Retention) -> None:
    await retention.put_order("order", ago(60), ago(60))
    await retention.put_order("order-2", ago(60), ago(60))
    await retention.put_order("o' OR '1'='1", ago(60), ago(60))
    await retention.archive()
    for order_id in ("order", "o' OR '1'='1"):
        assert {change.row.order_id for change in (await retention.history(order_id)).changes} == {order_id}


@pytest.mark.parametrize("is_there_an_archive", [True, False])
async def test_an_unknown_order_is_not_found(retention: Retention, is_there_an_archive: bool) -> None:
    if is_there_an_archive:
        await retention.put_order("other", ago(60), ago(60))
        await retention.archive()
    with pytest.raises(OrderNotFound):
        await retention.history("order")


async def test_a_row_that_is_twice_in_the_archive_is_listed_once(retention: Retention) -> None:
    await retention.put_order("order", ago(60), ago(60))
    await retention.archive()
    archive = open_archive_table(retention.archive_url, ArchivedTable.LOG)
    archive.write(archive.last_batch() + 1, [ArchivedChange("order", ago(60), has_toll_road=True)])
    assert len(retention.archived_changes()) == 2
    assert len((await retention.history("order")).changes) == 1


async def test_an_archive_that_cannot_be_read_is_an_error(retention: Retention, tmp_path: Path) -> None:
    await retention.put_order("order", ago(60), ago(60))
    await retention.archive()
    for file in (tmp_path / "archive").rglob("*.parquet"):
        file.write_bytes(b"garbage")
    with pytest.raises(ArchiveFailed):
        await retention.history("order")


rows = st.builds(ArchivedChange, st.just("order"), st.integers(0, 20).map(ago), has_toll_road=st.booleans())


@given(st.lists(rows, max_size=8), st.lists(rows, max_size=8))
def test_each_row_is_listed_once_by_created_with_its_location(
    database: list[ArchivedChange], archive: list[ArchivedChange]
) -> None:
    found = merged(database, archive)
    rows = [one.row for one in found]
    assert rows == sorted(rows, key=lambda row: row.created_at)
    assert len(rows) == len(set(rows))
    assert {one.row for one in found if one.location is not RowLocation.ARCHIVE} == set(database)
    assert {one.row for one in found if one.location is not RowLocation.DATABASE} == set(archive)
