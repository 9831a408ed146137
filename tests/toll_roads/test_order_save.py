"""The task toll_roads_order_save, through the RPC that enqueues it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ridehail_clients import AsyncTollRoadsClient
from ridehail_servers.toll_roads.order_save import OrderSave, Refusal, check_offer
from tests.support.suite_in_process import SuiteInProcess
from tests.support.waiting import until

CREATED = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def a_save(*, user_chose_toll_road: bool) -> OrderSave:
    return OrderSave("order", CREATED, "offer", True, user_chose_toll_road, "uid")


@pytest.mark.parametrize(
    ("user_chose_toll_road", "offer_is_stored", "verdict"),
    [
        (False, False, None),
        (False, True, Refusal.FREE_ROAD_WITH_TOLL_OFFER),
        (True, True, None),
        (True, False, None),
    ],
)
def test_only_a_free_road_order_from_a_toll_offer_is_refused(
    user_chose_toll_road: bool, offer_is_stored: bool, verdict: Refusal | None
) -> None:
    assert check_offer(a_save(user_chose_toll_road=user_chose_toll_road), offer_is_stored=offer_is_stored) is verdict


class Processing:
    """What processing does: saves orders and waits for the task to be through."""

    def __init__(self, suite: SuiteInProcess) -> None:
        self.suite = suite

    async def save(self, **changes: object) -> None:
        arguments: dict[str, object] = {
            "order_id": "order-1",
            "created": CREATED,
            "offer_id": "offer-1",
            "can_switch_road": True,
            "user_chose_toll_road": True,
            "yandex_uid": "uid-1",
        }
        async with AsyncTollRoadsClient(self.suite.address, ticket=self.suite.ticket("processing")) as client:
            await client.enqueue_order_save(**(arguments | changes))  # type: ignore[arg-type]  # a test's own mix

    async def save_and_wait(self, **changes: object) -> None:
        await self.save(**changes)
        await until(self.is_idle)

    async def is_idle(self) -> bool:
        rows = await self.suite.rows("SELECT 1 FROM toll_roads.procrastinate_jobs WHERE status IN ('todo', 'doing')")
        return not rows

    async def state(self) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        orders = await self.suite.rows(
            "SELECT order_id, created_at, offer_id, can_switch_road, yandex_uid FROM toll_roads.orders ORDER BY 1"
        )
        log = await self.suite.rows(
            "SELECT order_id, created_at, has_toll_road FROM toll_roads.log_has_toll_road ORDER BY 1, 2"
        )
        return orders, log

    async def can_switch_road(self) -> list[bool]:
        """Returns the results of both lookups."""
        async with AsyncTollRoadsClient(self.suite.address, ticket=self.suite.ticket("api-proxy")) as client:
            one = await client.retrieve_order(order_id="order-1")
            (many,) = (await client.batch_retrieve_orders(order_ids=["order-1"])).orders
        return [one.can_switch_road, many.can_switch_road]

    async def refusals(self) -> list[object]:
        rows = await self.suite.rows("SELECT refused_because FROM toll_roads.order_save_requests ORDER BY request_id")
        return [row[0] for row in rows]


@pytest.fixture
def processing(suite: SuiteInProcess) -> Processing:
    return Processing(suite)


async def test_an_order_is_saved_with_its_first_road(suite: SuiteInProcess, processing: Processing) -> None:
    async with suite.worker():
        await processing.save_and_wait()
    assert await processing.state() == (
        [("order-1", CREATED, "offer-1", True, "uid-1")],
        [("order-1", CREATED, True)],
    )
    assert await processing.refusals() == []


async def test_an_order_without_offer_and_passenger_is_saved(suite: SuiteInProcess, processing: Processing) -> None:
    async with suite.worker():
        await processing.save_and_wait(
            offer_id=None, yandex_uid=None, can_switch_road=False, user_chose_toll_road=False
        )
    assert await processing.state() == ([("order-1", CREATED, None, False, None)], [("order-1", CREATED, False)])


async def test_a_repeat_changes_nothing(suite: SuiteInProcess, processing: Processing) -> None:
    async with suite.worker():
        await processing.save_and_wait()
        before = await processing.state()
        for _ in range(3):
            await processing.save_and_wait()
    assert await processing.state() == before
    assert await processing.refusals() == []


async def test_many_repeats_at_once_save_the_order_once(suite: SuiteInProcess, processing: Processing) -> None:
    await asyncio.gather(*(processing.save() for _ in range(20)))
    async with suite.worker():
        await until(processing.is_idle)
    assert await processing.state() == ([("order-1", CREATED, "offer-1", True, "uid-1")], [("order-1", CREATED, True)])
    assert await processing.refusals() == []


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"created": CREATED + timedelta(seconds=1)}, Refusal.OTHER_DATA),
        ({"order_id": "order-2"}, Refusal.OFFER_TAKEN),
        ({"order_id": "order-2", "created": CREATED + timedelta(seconds=1)}, Refusal.OFFER_TAKEN),
    ],
)
async def test_a_report_that_contradicts_a_saved_order_fails_for_good_and_changes_nothing(
    suite: SuiteInProcess, processing: Processing, changes: dict[str, object], refusal: Refusal
) -> None:
    async with suite.worker():
        await processing.save_and_wait()
        before = await processing.state()
        await processing.save_and_wait(**changes)
    assert await processing.state() == before
    assert await processing.refusals() == [refusal.name]
    failed = await suite.rows("SELECT attempts FROM toll_roads.procrastinate_jobs WHERE status = 'failed'")
    assert failed == [(1,)]


async def test_a_free_road_order_from_a_toll_offer_fails_for_good(
    suite: SuiteInProcess, processing: Processing
) -> None:
    async with AsyncTollRoadsClient(suite.address, ticket=suite.ticket("routestats")) as client:
        assert await client.save_offer(offer_id="offer-1")
    async with suite.worker():
        await processing.save_and_wait(user_chose_toll_road=False)
    assert await processing.state() == ([], [])
    assert await processing.refusals() == [Refusal.FREE_ROAD_WITH_TOLL_OFFER.name]


async def test_a_task_has_only_the_id_of_the_request(suite: SuiteInProcess, processing: Processing) -> None:
    await processing.save()
    rows = await suite.rows("SELECT args, task_name FROM toll_roads.procrastinate_jobs")
    request = await suite.rows("SELECT request_id FROM toll_roads.order_save_requests")
    assert rows == [({"subject": request[0][0]}, "toll_roads_order_save")]


async def test_the_request_and_its_task_exist_together_or_not_at_all(
    suite: SuiteInProcess, processing: Processing
) -> None:
    jobs, away = "toll_roads.procrastinate_jobs", "toll_roads.out_of_reach"
    async with suite.altered(
        f"ALTER TABLE {jobs} RENAME TO out_of_reach", f"ALTER TABLE {away} RENAME TO procrastinate_jobs"
    ):
        with pytest.raises(Exception, match="internal error"):
            await processing.save()
    assert await suite.rows("SELECT count(*) FROM toll_roads.order_save_requests") == [(0,)]


# --- the passenger, without whom the road cannot be switched


async def test_an_order_without_its_passenger_cannot_be_switched(suite: SuiteInProcess, processing: Processing) -> None:
    async with suite.worker():
        await processing.save_and_wait(yandex_uid=None)
    assert await processing.can_switch_road() == [False, False]


@pytest.mark.parametrize("first", [None, "uid-1"])
async def test_a_later_report_of_the_same_order_adds_its_passenger_once(
    suite: SuiteInProcess, processing: Processing, first: str | None
) -> None:
    async with suite.worker():
        for yandex_uid in (first, None, "uid-1", "uid-2", None):
            await processing.save_and_wait(yandex_uid=yandex_uid)
    orders, log = await processing.state()
    assert (orders, log) == ([("order-1", CREATED, "offer-1", True, "uid-1")], [("order-1", CREATED, True)])
    assert await processing.can_switch_road() == [True, True]
    assert await processing.refusals() == []


async def test_a_passenger_does_not_make_a_road_switchable(suite: SuiteInProcess, processing: Processing) -> None:
    async with suite.worker():
        await processing.save_and_wait(can_switch_road=False)
    assert await processing.can_switch_road() == [False, False]


async def test_a_report_with_another_created_adds_no_passenger(suite: SuiteInProcess, processing: Processing) -> None:
    later = CREATED + timedelta(seconds=1)
    async with suite.worker():
        await processing.save_and_wait(yandex_uid=None)
        # A change of the road, as a switch leaves it, with the `created` of the wrong report.
        await suite.execute(
            "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road) VALUES (%s, %s, false)",
            "order-1",
            later,
        )
        await processing.save_and_wait(created=later)
    orders, _log = await processing.state()
    assert orders == [("order-1", CREATED, "offer-1", False, None)]


async def test_reports_with_and_without_the_passenger_at_once_end_with_the_passenger(
    suite: SuiteInProcess, processing: Processing
) -> None:
    reports = (processing.save(yandex_uid=None if number % 2 else "uid-1") for number in range(20))
    await asyncio.gather(*reports)
    async with suite.worker():
        await until(processing.is_idle)
    assert await processing.state() == ([("order-1", CREATED, "offer-1", True, "uid-1")], [("order-1", CREATED, True)])
