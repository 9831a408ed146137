"""Old offers are deleted; old orders and changes once they are in the archive, and never during a switch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from ridehail_servers.chassis.config import ConfigError, load
from ridehail_servers.chassis.row_counts import RowCount
from ridehail_servers.toll_roads.config import RetentionConfig, TollRoadsConfig
from ridehail_servers.toll_roads.retention.job import Cutoffs, JobStep, RowOutcome, cutoffs
from ridehail_servers.toll_roads.retention.purge_jobs import OfferPurgeJob
from ridehail_servers.toll_roads.retention.purge_store import PurgeStore
from ridehail_servers.toll_roads.store import TollRoadsStore
from tests.support.locks import waiting_for_locks
from tests.support.log_capture import LogCapture
from tests.support.read_counters import counted
from tests.support.retention import NOW, Retention, ago
from tests.support.waiting import LIMIT_S, until

MICROSECOND = timedelta(microseconds=1)
DELETED_LOG = (JobStep.PURGE_LOG, RowOutcome.DELETED)
DELETED_ORDERS = (JobStep.PURGE_ORDERS, RowOutcome.DELETED)
KEPT_LOG = (JobStep.PURGE_LOG, RowOutcome.KEPT)
KEPT_ORDERS = (JobStep.PURGE_ORDERS, RowOutcome.KEPT)


# --- what is old


def test_the_periods_are_those_of_the_design() -> None:
    assert cutoffs(RetentionConfig(), NOW) == Cutoffs(offers=ago(24), archive=ago(24), orders=ago(48))


def test_the_shipped_configuration_has_the_periods_of_the_design(config_dir: Path) -> None:
    assert load(config_dir / "toll_roads.yaml", TollRoadsConfig).retention == RetentionConfig()


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("retention: {offers_kept_h: 0}", "retention.offers_kept_h"),
        ("retention: {batch_size: 50001}", "retention.batch_size"),
        ("retention: {batch_size: many}", "retention.batch_size"),
        ("retention: {orders_kept_h: 23}", "retention"),
        ("retention: {kept_forever: true}", "retention.kept_forever"),
        ("retention: []", "retention"),
    ],
)
def test_invalid_periods_are_refused(tmp_path: Path, content: str, key: str) -> None:
    file = tmp_path / "toll_roads.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError) as refused:
        load(file, TollRoadsConfig)
    assert refused.value.key == key


# --- offers


async def test_offers_are_deleted_once_they_are_older_than_a_day(retention: Retention) -> None:
    await retention.put_offers(young=1, ancient=1000)
    await retention.execute("INSERT INTO toll_roads.offers VALUES ('of that age', %s)", ago(24))
    await retention.execute("INSERT INTO toll_roads.offers VALUES ('older', %s)", ago(24) - MICROSECOND)
    reports = await retention.purge_offers()
    assert reports[JobStep.PURGE_OFFERS, RowOutcome.DELETED] == 2
    assert await retention.rows("SELECT offer_id FROM toll_roads.offers ORDER BY 1") == [("of that age",), ("young",)]


async def test_offers_with_the_same_timestamp_are_deleted_in_several_batches(retention: Retention) -> None:
    await retention.execute("INSERT INTO toll_roads.offers SELECT n, %s FROM generate_series(1, 10) n", ago(30))
    await retention.purge_offers()
    assert await retention.rows("SELECT * FROM toll_roads.offers") == []


async def test_the_next_run_deletes_an_offer_that_was_locked(retention: Retention) -> None:
    await retention.put_offers(**{f"offer{n}": 30 + n for n in range(7)})
    async with await psycopg.AsyncConnection.connect(retention.database_url) as other:
        await other.execute("SELECT 1 FROM toll_roads.offers WHERE offer_id = 'offer3' FOR UPDATE")
        await asyncio.wait_for(retention.purge_offers(), LIMIT_S)
        assert await retention.rows("SELECT offer_id FROM toll_roads.offers") == [("offer3",)]
    await retention.purge_offers()
    assert await retention.rows("SELECT offer_id FROM toll_roads.offers") == []


async def test_two_purges_of_offers_at_once_delete_each_once(retention: Retention) -> None:
    await retention.execute("INSERT INTO toll_roads.offers SELECT n, %s FROM generate_series(1, 500) n", ago(30))
    first, second = await asyncio.gather(retention.purge_offers(), retention.purge_offers())
    await retention.purge_offers()
    assert first[JobStep.PURGE_OFFERS, RowOutcome.DELETED] + second[JobStep.PURGE_OFFERS, RowOutcome.DELETED] == 500
    assert await retention.rows("SELECT * FROM toll_roads.offers") == []


# --- orders and changes


async def test_only_what_is_older_than_two_days_and_archived_is_deleted(retention: Retention) -> None:
    await retention.put_order("old", ago(50), ago(50), ago(49))
    await retention.put_order("of that age", ago(48), ago(48))
    await retention.put_order("young", ago(25), ago(25))
    await retention.archive()
    await retention.put_order("late", ago(60), ago(60))  # reported only now, so not archived yet
    reports = await retention.purge_orders()
    assert [row[0] for row in await retention.stored_orders()] == ["late", "of that age", "young"]
    assert [row[0] for row in await retention.stored_changes()] == ["late", "of that age", "young"]
    assert (reports[DELETED_LOG], reports[DELETED_ORDERS]) == (2, 1)
    assert (reports[KEPT_LOG], reports[KEPT_ORDERS]) == (1, 1)


async def test_rows_kept_because_they_are_not_archived_are_logged_without_ids(
    retention: Retention, log: LogCapture
) -> None:
    await retention.put_order("secret", ago(50), ago(50))
    await retention.purge_orders()
    kept = log.events("old rows are kept: they are not in the archive")
    assert [(line["level"], line["table"], line["rows"]) for line in kept] == [
        ("warning", "log_has_toll_road", 1),
        ("warning", "orders", 1),
    ]
    assert "secret" not in log.text
    assert "uid-4711" not in log.text


async def test_an_old_order_with_a_young_change_stays(retention: Retention) -> None:
    await retention.put_order("switched", ago(50), ago(50), ago(47))
    await retention.archive()
    reports = await retention.purge_orders()
    assert await retention.stored_orders() == [("switched", ago(50))]
    assert await retention.stored_changes() == [("switched", ago(47), False)]
    assert (reports[DELETED_LOG], reports[KEPT_ORDERS]) == (1, 1)

    retention.now = NOW + timedelta(hours=2)
    await retention.archive()
    await retention.purge_orders()
    assert await retention.stored_orders() == []


async def test_rows_of_a_batch_that_is_not_marked_as_written_stay(retention: Retention) -> None:
    await retention.put_order("order", ago(50), ago(50))
    await retention.archive()
    await retention.execute("UPDATE toll_roads.archive_batches SET written_at = NULL")
    reports = await retention.purge_orders()
    assert (reports[KEPT_LOG], reports[KEPT_ORDERS]) == (1, 1)
    assert len(await retention.stored_orders()) == len(await retention.stored_changes()) == 1


async def test_two_purges_of_orders_at_once_delete_each_once(retention: Retention) -> None:
    await retention.put_many(300, oldest_h=90, youngest_h=20)
    retention.batch_size = 20
    await retention.archive()
    young = await retention.rows("SELECT count(*) FROM toll_roads.orders WHERE created_at >= %s", ago(48))
    both = await asyncio.gather(retention.purge_orders(), retention.purge_orders())
    await retention.purge_orders()
    assert sum(one[DELETED_ORDERS] for one in both) == sum(one[DELETED_LOG] for one in both)
    assert await retention.rows("SELECT count(*) FROM toll_roads.orders") == young
    assert await retention.rows("SELECT count(*) FROM toll_roads.log_has_toll_road") == young


# --- riders who switch meanwhile


async def test_an_order_that_is_being_switched_is_neither_archived_nor_deleted(retention: Retention) -> None:
    await retention.put_order("switching", ago(50), ago(50))
    await retention.put_order("other", ago(50), ago(50))
    async with await psycopg.AsyncConnection.connect(retention.database_url) as rider:
        await rider.execute("SELECT 1 FROM toll_roads.orders WHERE order_id = 'switching' FOR NO KEY UPDATE")
        await asyncio.wait_for(retention.archive(), LIMIT_S)
        assert [row[0] for row in retention.archived_orders()] == ["other"]
    await retention.archive()
    async with await psycopg.AsyncConnection.connect(retention.database_url) as rider:
        await rider.execute("SELECT 1 FROM toll_roads.orders WHERE order_id = 'switching' FOR NO KEY UPDATE")
        await asyncio.wait_for(retention.purge_orders(), LIMIT_S)
        assert [row[0] for row in await retention.stored_orders()] == ["switching"]
    await retention.purge_orders()
    assert await retention.stored_orders() == []


async def test_a_change_that_arrives_while_its_order_is_purged_keeps_the_order(retention: Retention) -> None:
    # given: a purge that has chosen its orders, and is about to lock them
    await retention.put_order("order", ago(50))
    await retention.archive()
    batches = await retention.rows("SELECT batch FROM toll_roads.archive_batches WHERE table_name = 'orders'")
    store = PurgeStore()
    async with AsyncExitStack() as stack:
        purge = await stack.enter_async_context(retention.database.transaction())
        # when: the change is committed after the first of the purge's statements has begun
        locked = await store.lock_finished_orders(purge, int(str(batches[0][0])), ago(48), 10)
        assert locked == ["order"]
        rider = asyncio.create_task(retention.put_change("order", NOW, has_toll_road=True))
        # then: no transaction can add one any more
        await until(lambda: waiting_for_locks(retention.database_url))
        assert await store.delete_orders(purge, locked) == 1
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await rider


async def test_a_change_added_between_locking_and_deletion_keeps_the_order(retention: Retention) -> None:
    await retention.put_order("order", ago(50), ago(1))
    async with retention.database.transaction() as connection:
        assert await PurgeStore().delete_orders(connection, ["order"]) == 0
    assert len(await retention.stored_orders()) == 1


async def test_switches_during_a_purge_neither_fail_nor_get_lost(retention: Retention) -> None:
    await retention.put_many(200, oldest_h=70, youngest_h=49)
    retention.batch_size = 10
    await retention.archive()
    store, switched = TollRoadsStore(), set[str]()

    async def switch(order_id: str) -> None:
        async with retention.database.transaction() as connection:
            if await store.lock_order(connection, order_id) is None:
                return
            await asyncio.sleep(0.002)
            await store.insert_log_row(connection, order_id, NOW, has_toll_road=False)
        switched.add(order_id)

    async def riders() -> None:
        for number in range(200, 0, -1):
            await switch(f"order-{number}")

    _, reports = await asyncio.gather(riders(), retention.purge_orders())
    await retention.purge_orders()
    assert reports[DELETED_ORDERS] > 0
    assert switched
    assert {row[0] for row in await retention.stored_orders()} == switched
    assert await retention.stored_changes() == sorted((order_id, NOW, False) for order_id in switched)


# --- refused reports


async def test_refused_reports_are_deleted_after_two_days_and_open_ones_are_not(retention: Retention) -> None:
    for order_id, age, reason in (("old", 49, "OTHER_DATA"), ("young", 47, "OTHER_DATA"), ("open", 1000, None)):
        await retention.execute(
            "INSERT INTO toll_roads.order_save_requests"
            " (order_id, created_at, can_switch_road, user_chose_toll_road, requested_at, refused_because)"
            " VALUES (%s, now(), true, true, %s, %s)",
            order_id,
            ago(age),
            reason,
        )
    reports = await retention.purge_orders()
    assert reports[JobStep.PURGE_SAVE_REQUESTS, RowOutcome.DELETED] == 1
    assert await retention.rows("SELECT order_id FROM toll_roads.order_save_requests ORDER BY 1") == [
        ("open",),
        ("young",),
    ]


# --- counting


async def test_a_dry_run_counts_what_the_job_does_and_changes_nothing(retention: Retention) -> None:
    await retention.put_many(40, oldest_h=90, youngest_h=10)
    await retention.put_order("switched", ago(60), ago(60), ago(30), ago(3))
    await retention.put_offers(old=30, young=20)
    archiving, purge = retention.archiving(), retention.order_purge()
    offers = OfferPurgeJob(retention.database, PurgeStore())

    async def everything() -> object:
        orders, log = await retention.stored_orders(), await retention.stored_changes()
        return (
            orders,
            log,
            retention.archived_orders(),
            await retention.rows("SELECT * FROM toll_roads.archive_batches"),
        )

    before = await everything()
    due = await archiving.due(retention.cutoffs)
    due_offers = await offers.due(retention.cutoffs)
    assert await everything() == before
    archived = await retention.archive()
    assert due == {step: archived[step, RowOutcome.ARCHIVED] for step in due}
    assert due_offers == {
        JobStep.PURGE_OFFERS: (await retention.purge_offers())[JobStep.PURGE_OFFERS, RowOutcome.DELETED]
    }

    before = await everything()
    due = await purge.due(retention.cutoffs)
    assert await everything() == before
    purged = await retention.purge_orders()
    assert due == {step: purged[step, RowOutcome.DELETED] for step in due}
    assert due[JobStep.PURGE_LOG] > due[JobStep.PURGE_ORDERS] > 0
    assert await archiving.due(retention.cutoffs) == {JobStep.ARCHIVE_ORDERS: 0, JobStep.ARCHIVE_LOG: 0}


async def test_an_estimate_is_near_the_number_of_rows(retention: Retention) -> None:
    retention.batch_size = 500
    await retention.put_many(3_000, oldest_h=90, youngest_h=10)
    await retention.put_offers(old=2_000, young=1_000)
    await retention.execute("VACUUM ANALYZE")
    archiving, purge = retention.archiving(), retention.order_purge()
    await is_estimated(archiving.due, retention)
    await is_estimated(OfferPurgeJob(retention.database, PurgeStore()).due, retention)
    await retention.archive()
    await retention.execute("VACUUM ANALYZE")
    await is_estimated(purge.due, retention)


async def is_estimated(due: Callable[[Cutoffs, RowCount], Awaitable[dict[JobStep, int]]], retention: Retention) -> None:
    exact, about = await due(retention.cutoffs, RowCount.EXACT), await due(retention.cutoffs, RowCount.ESTIMATED)
    assert about.keys() == exact.keys()
    for step, rows in exact.items():
        # The planner expects a row of every table that it reads.
        assert rows / 2 <= about[step] <= rows * 2 or about[step] <= 2


# --- cost


async def test_no_batch_reads_a_whole_table(retention: Retention) -> None:
    await retention.put_many(20_000, oldest_h=90, youngest_h=0)
    await retention.execute(
        "INSERT INTO toll_roads.offers SELECT 'offer-' || n, %s::timestamptz + interval '1 second' * n"
        " FROM generate_series(1, 40000) n",
        ago(26),
    )
    await retention.execute("VACUUM ANALYZE")
    retention.batch_size = 1_000
    before = await read_by_scans(retention)
    await retention.archive()
    await retention.purge_orders()
    await retention.purge_offers()
    assert await read_by_scans(retention) == before
    assert await retention.rows("SELECT count(*) > 0 AND count(*) < 20000 FROM toll_roads.orders") == [(True,)]


async def read_by_scans(retention: Retention) -> tuple[int, ...]:
    return await counted(
        retention.database_url,
        "SELECT sum(seq_scan)::int FROM pg_stat_user_tables"
        " WHERE schemaname = 'toll_roads' AND relname IN ('orders', 'log_has_toll_road', 'offers')",
    )
