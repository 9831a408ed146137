"""The task insert_order, through the RPC that enqueues it."""

from __future__ import annotations

import asyncio

import pytest

from ridehail_clients import FamilyAdmin, FamilyMember, SharedRide, SharingInfo
from tests.route_sharing.harness import Harness
from tests.support.log_capture import LogCapture

JOBS = (
    "SELECT task_name, args, status::text FROM order_route_sharing.procrastinate_jobs WHERE task_name = 'insert_order'"
)


async def enqueue(
    harness: Harness, *phone_ids: str, key: str = "key", order: str = "order", rider: str | None = None
) -> None:
    await harness.processing.enqueue_insert_order(
        order_id=order, sharing_key=key, phone_ids=phone_ids, yandex_uid=rider
    )


async def test_a_worker_inserts_the_phones_and_forgets_the_request(harness: Harness) -> None:
    await enqueue(harness, "b", "a", "b", rider="1")
    assert await harness.info() == SharingInfo((), None)
    await harness.work_off()
    assert await harness.info() == SharingInfo(("a", "b"), None)
    assert (await harness.tables())["insert_order_requests"] == []


async def test_a_report_without_phones_makes_the_key_known(harness: Harness) -> None:
    await enqueue(harness, rider="1")
    await harness.work_off()
    assert await harness.info() == SharingInfo((), None)
    assert isinstance(await harness.watch(uid="1"), SharedRide)


async def test_reports_only_ever_add_phones_and_repeats_change_nothing(harness: Harness) -> None:
    await asyncio.gather(*(enqueue(harness, *phones) for phones in (["a"], ["b", "a"], [], ["a"], ["a"])))
    async with harness.suite.worker():
        await harness.idle()
        assert await harness.phones() == ("a", "b")
        tables = await harness.tables()
        await enqueue(harness, "b")
        await harness.idle()
        assert await harness.tables() == tables


async def test_the_rider_is_whoever_was_reported_first(harness: Harness) -> None:
    await harness.insert("a")
    assert await harness.watch(uid="1") == "SHARING_KEY_NOT_FOUND"
    await harness.insert("a", rider="1")
    await harness.insert("a", rider="2")
    assert isinstance(await harness.watch(uid="1"), SharedRide)
    assert await harness.watch(uid="2") == "SHARING_KEY_NOT_FOUND"


@pytest.mark.parametrize("toggles", [(True,), (True, False), (False,)])
async def test_before_or_after_the_toggle_makes_no_difference(harness: Harness, toggles: tuple[bool, ...]) -> None:
    await harness.make_family(FamilyAdmin("7", "Ann"), "phone-admin", FamilyMember("1", "phone-rider"))
    for key, report_first in (("key-1", True), ("key-2", False)):
        if report_first:
            await harness.insert("phone-admin", "friend", key=key)
        for on in toggles:
            await harness.share(on, key=key)
        if not report_first:
            await harness.insert("phone-admin", "friend", key=key)
    assert await harness.info("key-1") == await harness.info("key-2")
    assert await harness.phones("key-1") == ("friend", "phone-admin")


async def test_the_key_of_another_order_is_refused_for_good_and_its_phones_are_forgotten(
    harness: Harness, log: LogCapture
) -> None:
    await harness.insert("a")
    await enqueue(harness, "b", order="another", rider="2")
    await harness.work_off()
    assert await harness.phones() == ("a",)
    (request,) = (await harness.tables())["insert_order_requests"]
    assert request[1:5] == ("another", "key", [], None)
    assert request[6] == "SHARING_KEY_CONFLICT"
    assert [row[2] for row in await harness.suite.rows(JOBS)] == ["failed"]
    (refused,) = log.events("task refused")
    assert refused["reason"] == "order another: the sharing key is that of another order"


async def test_a_task_knows_the_request_by_its_id_only(harness: Harness) -> None:
    await enqueue(harness, "a", rider="1")
    request = await harness.suite.rows("SELECT request_id FROM order_route_sharing.insert_order_requests")
    assert await harness.suite.rows(JOBS) == [("insert_order", {"subject": request[0][0]}, "todo")]


async def test_the_request_and_its_task_exist_together_or_not_at_all(harness: Harness) -> None:
    jobs, away = "order_route_sharing.procrastinate_jobs", "order_route_sharing.out_of_reach"
    async with harness.suite.altered(
        f"ALTER TABLE {jobs} RENAME TO out_of_reach", f"ALTER TABLE {away} RENAME TO procrastinate_jobs"
    ):
        with pytest.raises(Exception, match="internal error"):
            await enqueue(harness, "a")
    assert (await harness.tables())["insert_order_requests"] == []
