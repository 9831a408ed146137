"""Reports: in any order, late, twice, at once, and beside the deletion of old orders."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import croniter
import grpc
import psycopg

from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail_servers.chassis.tasks import Task
from ridehail_servers.order_state.config import OrderStateConfig
from ridehail_servers.order_state.orders import ActiveOrder
from ridehail_servers.order_state.store import OrderStateStore
from ridehail_servers.order_state.tasks import DeleteOldOrders
from tests.order_state.harness import REPORT, Harness, Rider
from tests.order_state.provider_server import order
from tests.support.calls import failure_of
from tests.support.locks import waiting_for_locks
from tests.support.log_capture import LogCapture
from tests.support.waiting import until


async def parts(harness: Harness) -> dict[object, tuple[object, object]]:
    return {row[6]: (row[7], row[8]) for row in await harness.stored()}


async def test_of_each_part_the_highest_sequence_counts(harness: Harness, rider: Rider) -> None:
    assert await rider.report("1", 3, a="3", b="3")
    assert await rider.report("1", 2, a="2", c="2")
    assert await rider.report("1", 5, b="5")
    assert not await rider.report("1", 4, b="4")
    assert await parts(harness) == {"a": ("3", 3), "b": ("5", 5), "c": ("2", 2)}


async def test_a_report_returns_whether_anything_of_it_is_new(rider: Rider) -> None:
    assert await rider.report("1", 1)
    assert not await rider.report("1", 1)
    assert await rider.report("1", 1, a="1")
    assert not await rider.report("1", 1, a="1")
    assert not await rider.report("1", 1, a="other")
    assert await rider.report("1", 2, a="1")
    assert await rider.report("1", 1, finished=False)
    assert await rider.report("1", 2, finished=True)
    assert not await rider.report("1", 2, finished=False)


async def test_of_the_end_the_highest_sequence_counts(harness: Harness, rider: Rider) -> None:
    async def has_ended() -> object:
        return (await harness.stored())[0][4]

    await rider.report("1", 3, finished=True)
    assert await has_ended() is True
    await rider.report("1", 2, finished=False)
    await rider.report("1", 9, a="9")
    assert await has_ended() is True
    await rider.report("1", 4, finished=False)
    assert await has_ended() is False
    await rider.report("1", 3, finished=True)
    assert await has_ended() is False


async def test_a_reported_order_stays_its_riders(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 1, a="1")
    before = await harness.stored()
    request = api.ReportOrderPartsRequest(
        service="taxi", orderid="1", yandex_uid="another", sequence=9, parts={"a": "9"}, finished=True
    )
    error = await failure_of(harness.channel, REPORT, request, metadata=harness.metadata("admin"))
    assert (error.code, error.reason, error.metadata) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ORDER_OWNER_MISMATCH",
        {"order_id": "1"},
    )
    assert await harness.stored() == before


async def test_the_first_report_decides_whose_order_it_is(harness: Harness, rider: Rider) -> None:
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=4, info="4")]
    await rider.poll(tags={"taxi": ""})
    assert await harness.rider("owner").report("1", 2, info="2") is True
    assert await harness.stored() == [("taxi", "1", "owner", True, False, 4, "info", "4", 4)]


async def test_orders_of_equal_ids_in_two_services_are_two(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 1, a="1")
    await harness.rider("another").report("1", 1, service="eats", a="2")
    assert [row[:3] for row in await harness.stored()] == [("eats", "1", "another"), ("taxi", "1", rider.uid)]


# --- at once


async def test_whoever_races_the_highest_sequence_wins(harness: Harness, rider: Rider) -> None:
    """Many reports and lists of one order, each part of each change in some of them."""
    chance = random.Random(7)
    names, changes = ["a", "b", "c"], 40
    reports: list[tuple[int, dict[str, Any]]] = [
        (sequence, {name: str(sequence) for name in chance.sample(names, chance.randint(0, 3))})
        for sequence in range(1, changes + 1)
    ]
    reports += chance.sample(reports, 20)
    lists = [(sequence, dict.fromkeys(names, str(sequence))) for sequence in chance.sample(range(1, changes), 10)]
    store, database = OrderStateStore(), harness.suite.database("order-state")

    async def record(sequence: int, versions: dict[str, str]) -> None:
        listed = [ActiveOrder(one, "listed", versions, sequence, None) for one in chance.sample(["1", "0"], 2)]
        async with database.connection() as connection:
            await store.record_listed(connection, "taxi", rider.uid, listed, harness.clock[0])

    tasks: list[Coroutine[Any, Any, object]] = [
        rider.report("1", sequence, **versions) for sequence, versions in reports
    ]
    tasks += [record(*one) for one in lists]
    chance.shuffle(tasks)
    await asyncio.gather(*tasks)
    messages = [*reports, *lists]
    newest = {name: max(sequence for sequence, versions in messages if name in versions) for name in names}
    rows = await harness.suite.rows("SELECT part_name, version, sequence FROM order_state.parts WHERE orderid = '1'")
    assert {name: (version, sequence) for name, version, sequence in rows} == {
        name: (str(sequence), sequence) for name, sequence in newest.items()
    }
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await harness.suite.rows(deadlocks) == [(0,)]


async def test_one_of_two_riders_gets_an_order_that_both_report_at_once(harness: Harness) -> None:
    for number in range(5):
        riders = [harness.rider("first"), harness.rider("second")]
        results = await asyncio.gather(
            *(rider.report(str(number), 1, mine=rider.uid) for rider in riders), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in results) == ["OrderOwnerMismatch", "bool"]
    for row in await harness.stored():
        assert row[2] == row[7]


# --- the deletion of old orders


CONFIG = OrderStateConfig(kept_finished_h=48, kept_h=720)


def task(harness: Harness, batch_size: int = 2) -> Task:
    database = harness.suite.database("order-state")
    return DeleteOldOrders(
        database, OrderStateStore(), lambda: CONFIG, lambda: harness.clock[0], batch_size=batch_size
    ).task


async def ids(harness: Harness) -> set[object]:
    return {row[1] for row in await harness.stored()}


async def put(harness: Harness, **ages_h: float) -> None:
    """Stores orders last updated so many hours ago, with a part each; those named f... have ended."""
    for orderid, age in ages_h.items():
        await harness.suite.execute(
            "INSERT INTO order_state.orders VALUES ('taxi', %s, 'uid', true, %s, 1, %s)",
            orderid,
            orderid.startswith("f"),
            harness.clock[0] - timedelta(hours=age),
        )
        await harness.suite.execute("INSERT INTO order_state.parts VALUES ('taxi', %s, 'a', '1', 1)", orderid)


async def test_orders_that_ended_go_after_two_days_and_all_others_after_thirty(
    harness: Harness, log: LogCapture
) -> None:
    old = {f"f-old-{number}": 49 + number for number in range(5)}
    await put(harness, f=48, f2=48.001, o=719, o2=720, o3=720.001, o4=1000, **old)
    await task(harness).run(0)
    assert await ids(harness) == {"f", "o", "o2"}
    assert (await harness.suite.rows("SELECT count(*) FROM order_state.parts"))[0] == (3,)
    assert [line["orders"] for line in log.events("old orders forgotten")] == [8]


async def test_a_report_keeps_an_order(harness: Harness, rider: Rider) -> None:
    await put(harness, o=1000)
    await harness.rider("uid").report("o", 1)
    await task(harness).run(0)
    assert await ids(harness) == {"o"}


async def test_orders_that_others_hold_are_left_to_the_next_run(harness: Harness) -> None:
    await put(harness, held=1000, free=1000, free2=1000)
    async with await psycopg.AsyncConnection.connect(harness.suite.database_url) as holder:
        await holder.execute("SELECT FROM order_state.orders WHERE orderid = 'held' FOR UPDATE")
        await task(harness).run(0)
        assert await ids(harness) == {"held"}
    await task(harness).run(0)
    assert await ids(harness) == set()


async def test_a_report_that_waits_for_a_deletion_is_stored_whole(harness: Harness) -> None:
    await put(harness, o=1000)
    async with await psycopg.AsyncConnection.connect(harness.suite.database_url) as deleting:
        await deleting.execute("DELETE FROM order_state.orders WHERE orderid = 'o'")
        report = asyncio.create_task(harness.rider("another").report("o", 1, b="1"))

        async def waits() -> bool:
            return bool(await waiting_for_locks(harness.suite.database_url))

        await until(waits)
        await deleting.commit()
    assert await report is True
    assert await harness.stored() == [("taxi", "o", "another", True, False, 0, "b", "1", 1)]


async def test_reports_beside_deletions_are_never_lost(harness: Harness, rider: Rider) -> None:
    async def report_and_age(number: int) -> None:
        for sequence in range(1, 16):
            await rider.report(str(number), sequence, a=str(sequence))
            if sequence % 3:
                await harness.suite.execute(
                    "UPDATE order_state.orders SET updated_at = '-infinity' WHERE orderid = %s", str(number)
                )

    reports = asyncio.gather(*(report_and_age(number) for number in range(4)))
    while not reports.done():
        await asyncio.gather(task(harness).run(0), task(harness).run(0))
    await reports
    # The last report of each was made fresh: it cannot have been deleted.
    assert {row[1]: row[7:] for row in await harness.stored()} == {str(number): ("15", 15) for number in range(4)}


async def test_the_job_is_due_once_an_hour(harness: Harness) -> None:
    schedule = croniter.croniter(task(harness).schedule, harness.clock[0].timestamp())
    first, second = schedule.get_next(float), schedule.get_next(float)
    assert second - first == 3600
