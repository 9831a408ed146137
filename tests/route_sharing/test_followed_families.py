"""Families that change are followed: who joins sees the rides that are shared, who leaves sees them no more."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from ridehail_clients import FamilyAdmin, FamilyMember, FamilyMembership, FamilyState, SharedRide, SharingFamily
from tests.route_sharing.harness import Harness
from tests.support.waiting import until

ADMIN = FamilyAdmin("7", "Ann")
RIDER, SISTER, UNCLE = (
    FamilyMember("1", "phone-rider"),
    FamilyMember("2", "phone-sister"),
    FamilyMember("3", "phone-uncle"),
)
SHOWN = SharedRide("order", "A ride on the family account of Ann")
NOTHING = "SHARING_KEY_NOT_FOUND"


@pytest.fixture
async def shared(harness: Harness) -> Harness:
    """A ride that is shared with the rider's family, and by its order with a friend and the sister."""
    harness.family_id = await harness.make_family(ADMIN, "phone-admin", RIDER, SISTER)
    await harness.insert("phone-friend", rider="1")
    assert await harness.share(True) == "OK"
    return harness


async def leave(harness: Harness, uid: str) -> None:
    await harness.family.remove_member(family_id=harness.family_id, yandex_uid=uid)


async def join(harness: Harness, member: FamilyMember) -> None:
    await harness.family.add_member(family_id=harness.family_id, member=member)


async def test_a_worker_has_who_joins_see_the_ride_and_who_leaves_see_it_no_more(shared: Harness) -> None:
    async with shared.suite.worker():
        await join(shared, UNCLE)

        async def uncle_sees_it() -> bool:
            return await shared.watch(phone_id="phone-uncle") == SHOWN

        await until(uncle_sees_it)
        await leave(shared, "2")

        async def sister_sees_nothing() -> bool:
            return await shared.watch(phone_id="phone-sister") == NOTHING

        await until(sister_sees_nothing)
        assert await shared.watch(phone_id="phone-uncle") == SHOWN
        await shared.idle()
    assert await shared.rows("SELECT 1 FROM family.families WHERE unpublished_since IS NOT NULL") == []


async def test_a_phone_that_the_order_itself_brought_stays_when_the_familys_go(shared: Harness) -> None:
    await shared.insert("phone-sister")
    await leave(shared, "2")
    await shared.settle()
    assert await shared.phones() == ("phone-admin", "phone-friend", "phone-sister")
    # She is of the family no more, so who pays is not hers to know.
    assert await shared.watch(phone_id="phone-sister") == SharedRide("order", "A ride is shared with you")


async def test_a_members_new_phone_takes_the_place_of_the_old_one(shared: Harness) -> None:
    await join(shared, FamilyMember("2", "phone-new"))
    await shared.settle()
    assert await shared.phones() == ("phone-admin", "phone-friend", "phone-new")


async def test_the_rides_of_who_leaves_are_no_longer_shared_even_when_they_come_back(shared: Harness) -> None:
    await leave(shared, "1")
    await shared.settle()
    assert await shared.phones() == ("phone-friend",)
    assert (await shared.info()).family is None
    await join(shared, RIDER)
    await shared.settle()
    assert await shared.phones() == ("phone-friend",)
    assert (await shared.info()).family == SharingFamily("Ann", 7, sharing_on=False)
    assert await shared.share(True) == "OK"
    assert await shared.phones() == ("phone-admin", "phone-friend", "phone-sister")


async def test_a_return_that_is_seen_as_one_change_ends_the_share_as_well(shared: Harness) -> None:
    await leave(shared, "1")
    await join(shared, RIDER)
    await shared.settle()
    assert await shared.phones() == ("phone-friend",)


async def test_who_moves_to_another_family_does_not_share_with_that(shared: Harness) -> None:
    other = await shared.make_family(FamilyAdmin("8", "Bob"), "phone-bob")
    await leave(shared, "1")
    await shared.family.add_member(family_id=other, member=RIDER)
    await shared.settle()
    assert await shared.phones() == ("phone-friend",)
    assert (await shared.info()).family == SharingFamily("Bob", 8, sharing_on=False)
    assert await shared.watch(uid="1") == SharedRide("order", "A ride is shared with you")
    assert await shared.watch(phone_id="phone-bob") == NOTHING


async def test_the_owners_new_name_reaches_captions_and_the_banner(shared: Harness) -> None:
    await shared.as_passenger("RenameOwner", "7", name="Anna-Maria")
    await shared.settle()
    for seen in (await shared.watch(uid="1"), await shared.watch(phone_id="phone-sister")):
        assert seen == SharedRide("order", "A ride on the family account of Anna-Maria")
    assert (await shared.info()).family == SharingFamily("Anna-Maria", 7, sharing_on=True)


async def test_a_family_that_is_disbanded_sees_nothing_more(shared: Harness) -> None:
    await shared.as_passenger("DisbandFamily", "7", family_id=shared.family_id)
    await shared.settle()
    assert await shared.phones() == ("phone-friend",)
    assert await shared.watch(phone_id="phone-sister") == NOTHING
    assert (await shared.info()).family is None


async def test_a_change_is_published_once_and_a_repeat_of_a_call_is_none(shared: Harness) -> None:
    await shared.settle()
    before = await shared.rows("SELECT version FROM family.families")
    await join(shared, SISTER)
    await leave(shared, "999")
    assert await shared.rows("SELECT version FROM family.families") == before
    assert await shared.rows("SELECT 1 FROM family.families WHERE unpublished_since IS NOT NULL") == []


# --- versions decide


def state(version: int, *members: FamilyMember, name: str = "Ann") -> FamilyState:
    memberships = tuple(FamilyMembership(f"m-{one.yandex_uid}", one.yandex_uid, one.phone_id) for one in members)
    return FamilyState("family", version, FamilyAdmin("7", name), memberships)


STATES = (state(2, RIDER), state(3, RIDER, SISTER), state(4, RIDER, UNCLE, name="Anna"), state(5, UNCLE, name="Anna"))
STORED = "SELECT version, admin_name, array_agg(yandex_uid ORDER BY yandex_uid) FROM order_route_sharing.families"
STORED += " JOIN order_route_sharing.family_members USING (family_id) GROUP BY family_id"


async def test_publications_in_any_order_and_any_number_leave_the_highest_version(harness: Harness) -> None:
    for order in itertools.permutations(STATES):
        await harness.suite.execute("DELETE FROM order_route_sharing.families")
        for one in order:
            await harness.follow(one)
            await harness.follow(order[0])
        assert await harness.suite.rows(STORED) == [(5, "Anna", ["3"])]


async def test_publications_at_once_leave_the_highest_version(harness: Harness) -> None:
    for number in range(5):
        await harness.suite.execute("DELETE FROM order_route_sharing.families")
        await asyncio.gather(*(harness.follow(STATES[(number + one) % 4]) for one in range(12)))
        assert await harness.suite.rows(STORED) == [(5, "Anna", ["3"])]


async def test_a_family_without_members_is_shared_with_nobody(shared: Harness) -> None:
    known = await shared.family.get_family_state(yandex_uid="1")
    await shared.follow(FamilyState(known.family_id, known.version + 1, None, ()))
    assert await shared.phones() == ("phone-friend",)
    assert await shared.watch(phone_id="phone-sister") == NOTHING


# --- the toggle beside changes


async def test_a_toggle_that_has_read_the_family_before_a_change_stores_it_as_it_was_published_since(
    harness: Harness,
) -> None:
    """The change arrives when the ride is not there yet; the toggle comes with what it has read before."""
    family_id = await harness.make_family(ADMIN, "phone-admin", RIDER, SISTER)
    before = await harness.family.get_family_state(yandex_uid="1")
    await harness.family.remove_member(family_id=family_id, yandex_uid="2")
    await harness.settle()
    await harness.follow(before)
    assert await harness.share(True) == "OK"
    assert await harness.phones() == ("phone-admin",)


@pytest.mark.parametrize("_run", range(3))
async def test_toggles_beside_changes_leave_what_the_family_is_in_the_end(harness: Harness, _run: int) -> None:
    family_id = await harness.make_family(ADMIN, "phone-admin", RIDER, SISTER)

    async def change() -> None:
        for _ in range(4):
            await harness.family.remove_member(family_id=family_id, yandex_uid="2")
            await harness.family.add_member(family_id=family_id, member=UNCLE)
            await harness.settle()
            await harness.family.remove_member(family_id=family_id, yandex_uid="3")
            await harness.family.add_member(family_id=family_id, member=SISTER)

    async def toggle(key: str) -> None:
        for number in range(9):
            assert await harness.share(number % 2 == 0, key=key, order=key) == "OK"

    await asyncio.gather(change(), *(toggle(key) for key in ("a", "b", "c")))
    await harness.settle()
    for key in ("a", "b", "c"):
        assert await harness.phones(key) == ("phone-admin", "phone-sister")


# --- outages


async def test_what_route_sharing_could_not_store_is_published_by_the_minutes_run(shared: Harness) -> None:
    altered = shared.suite.altered(
        "ALTER TABLE order_route_sharing.families RENAME TO out_of_reach",
        "ALTER TABLE order_route_sharing.out_of_reach RENAME TO families",
    )
    overdue = shared.task("family", "family_publish_overdue")
    async with altered:
        await leave(shared, "2")
        with pytest.raises(Exception, match="route-sharing is unavailable"):
            await shared.settle()
        shared.later(minutes=1)
        await overdue.run(0)  # it fails without an error: the next minute comes anyhow
    assert await shared.watch(phone_id="phone-sister") != NOTHING
    await overdue.run(0)
    assert await shared.watch(phone_id="phone-sister") == NOTHING
    assert await shared.rows("SELECT 1 FROM family.families WHERE unpublished_since IS NOT NULL") == []
