"""Toggles at once: what is left is one of them, whole. The interleavings are made by locks that the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import psycopg
import pytest

from ridehail_clients import FamilyAdmin, FamilyMember, SharingFamily, SharingInfo
from tests.route_sharing.harness import Harness
from tests.support.locks import HeldLock, locked_table
from tests.support.waiting import until

ADMIN = FamilyAdmin("7", "Ann")
ON = SharingInfo(("phone-admin", "phone-friend"), SharingFamily("Ann", 7, sharing_on=True))
OFF = SharingInfo(("phone-friend",), SharingFamily("Ann", 7, sharing_on=False))


@pytest.fixture
async def shared(harness: Harness) -> Harness:
    """A ride that is shared with a friend, and was shared with the family."""
    await harness.make_family(ADMIN, "phone-admin", FamilyMember("1", "phone-rider"))
    await harness.insert("phone-friend")
    await harness.share(True)
    await harness.share(False)
    return harness


async def one_after_the_other(lock: HeldLock, *calls: Awaitable[object]) -> list[object]:
    """Starts each call once the one before it waits, then lets all of them go."""
    running: list[asyncio.Task[object]] = []
    for call in calls:
        running.append(asyncio.ensure_future(call))

        async def waits() -> bool:
            return len(await lock.waiting()) == len(running)

        await until(waits)
    await lock.release()
    return list(await asyncio.gather(*running))


@pytest.mark.parametrize(("first", "last"), [(True, False), (False, True)], ids=["on, off", "off, on"])
async def test_of_two_that_wait_for_the_ride_the_last_to_be_stored_wins_whole(
    shared: Harness, first: bool, last: bool
) -> None:
    await shared.share(not first)
    async with await psycopg.AsyncConnection.connect(shared.suite.database_url) as connection:
        await connection.execute("SELECT FROM order_route_sharing.sharing_keys FOR UPDATE")
        lock = HeldLock(connection, shared.suite.database_url)
        assert await one_after_the_other(lock, shared.share(first), shared.share(last)) == ["OK", "OK"]
    assert await shared.info() == (ON if last else OFF)


@pytest.mark.parametrize(("first", "last"), [(True, False), (False, True)], ids=["on, off", "off, on"])
async def test_one_that_comes_while_another_is_half_done_waits_for_all_of_it(
    shared: Harness, first: bool, last: bool
) -> None:
    await shared.share(not first)
    # The first one has changed the phones, and hangs before it has changed the state.
    async with locked_table(shared.suite.database_url, "order_route_sharing.family_rides") as lock:
        assert await one_after_the_other(lock, shared.share(first), shared.share(last)) == ["OK", "OK"]
    assert await shared.info() == (ON if last else OFF)


async def test_a_toggle_that_is_cut_off_half_way_leaves_what_was_there(shared: Harness) -> None:
    before = await shared.tables()
    async with locked_table(shared.suite.database_url, "order_route_sharing.family_rides") as lock:
        call = asyncio.create_task(shared.share(True))

        async def waits() -> bool:
            return bool(await lock.waiting())

        await until(waits)
        call.cancel()

        async def is_given_up() -> bool:
            return not await lock.waiting()

        await until(is_given_up)
    assert await shared.tables() == before


async def test_a_first_toggle_and_the_report_of_the_order_at_once_are_both_there(harness: Harness) -> None:
    await harness.make_family(ADMIN, "phone-admin", FamilyMember("1", "phone-rider"))
    for number in range(5):
        key = f"key-{number}"
        await asyncio.gather(harness.share(True, key=key), harness.insert("phone-friend", key=key))
        assert await harness.info(key) == ON


async def test_many_toggles_of_one_ride_at_once_leave_one_of_the_two_states(shared: Harness) -> None:
    for _ in range(3):
        results = await asyncio.gather(*(shared.share(number % 2 == 0) for number in range(10)))
        assert results == ["OK"] * 10
        assert await shared.info() in (ON, OFF)


async def test_the_rides_of_others_do_not_wait(shared: Harness) -> None:
    async with await psycopg.AsyncConnection.connect(shared.suite.database_url) as connection:
        await connection.execute("SELECT FROM order_route_sharing.sharing_keys FOR UPDATE")
        assert await shared.share(True, key="other", order="another") == "OK"


async def test_two_orders_that_claim_a_new_key_at_once_do_not_both_get_it(harness: Harness) -> None:
    await harness.make_family(ADMIN, "phone-admin", FamilyMember("1", "phone-rider"))
    for number in range(5):
        claims = (harness.share(True, key=f"key-{number}", order=order) for order in ("first", "second"))
        assert sorted(await asyncio.gather(*claims)) == ["OK", "SHARING_KEY_CONFLICT"]
