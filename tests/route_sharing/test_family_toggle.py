"""The toggle: a ride is shared with the family, or not."""

from __future__ import annotations

import itertools
from datetime import timedelta

from ridehail_clients import FamilyAdmin, FamilyMember, SharingFamily, SharingInfo
from tests.route_sharing.world import World

ADMIN = FamilyAdmin("393627008393627008", "Василий")  # beyond 32 bits
RIDER, SISTER = FamilyMember("1", "phone-rider"), FamilyMember("2", "phone-sister")
ON = SharingFamily(ADMIN.name, 393627008393627008, sharing_on=True)
OFF = SharingFamily(ADMIN.name, 393627008393627008, sharing_on=False)


async def smiths(world: World) -> str:
    return await world.make_family(ADMIN, "phone-admin", RIDER, SISTER)


async def test_on_shares_the_ride_with_the_phones_of_everybody_but_the_rider(world: World) -> None:
    await smiths(world)
    assert await world.share(True) == "OK"
    assert await world.info() == SharingInfo(("phone-admin", "phone-sister"), ON)


async def test_a_phone_that_the_rider_has_in_common_with_another_is_the_riders(world: World) -> None:
    await world.make_family(ADMIN, "phone-admin", RIDER, FamilyMember("2", RIDER.phone_id))
    assert await world.share(True) == "OK"
    assert await world.phones() == ("phone-admin",)


async def test_off_ends_it_and_remembers_the_family(world: World) -> None:
    await smiths(world)
    await world.share(True)
    assert await world.share(False) == "OK"
    assert await world.info() == SharingInfo((), OFF)


async def test_a_repeat_changes_nothing(world: World) -> None:
    await smiths(world)
    for on, expected in ((True, SharingInfo(("phone-admin", "phone-sister"), ON)), (False, SharingInfo((), OFF))):
        for _ in range(3):
            assert await world.share(on) == "OK"
            assert await world.info() == expected


async def test_off_for_a_ride_that_was_never_shared_changes_nothing(world: World) -> None:
    assert await world.share(False) == "OK"
    assert not any((await world.tables()).values())
    await world.insert("phone-friend")
    assert await world.share(False) == "OK"
    assert await world.info() == SharingInfo(("phone-friend",), None)


async def test_phones_that_the_order_is_shared_with_survive_the_end_of_the_family_share(world: World) -> None:
    await smiths(world)
    await world.insert("phone-sister", "phone-friend")
    await world.share(True)
    assert await world.phones() == ("phone-admin", "phone-friend", "phone-sister")
    await world.share(False)
    assert await world.info() == SharingInfo(("phone-friend", "phone-sister"), OFF)


async def test_on_again_takes_the_family_as_it_is_by_then(world: World) -> None:
    family_id = await smiths(world)
    await world.share(True)
    await world.family.remove_member(family_id=family_id, yandex_uid="2")
    await world.family.add_member(family_id=family_id, member=FamilyMember("3", "phone-uncle"))
    assert await world.phones() == ("phone-admin", "phone-sister")
    await world.share(True)
    assert await world.phones() == ("phone-admin", "phone-uncle")


async def test_the_rides_of_a_family_are_shared_independently(world: World) -> None:
    await smiths(world)
    for key, rider in (("key-1", "1"), ("key-2", "1"), ("key-3", "2")):
        assert await world.share(True, key=key, order=f"order of {key}", rider=rider) == "OK"
    assert await world.share(False, key="key-2", order="order of key-2") == "OK"
    assert await world.info("key-1") == SharingInfo(("phone-admin", "phone-sister"), ON)
    assert await world.info("key-2") == SharingInfo((), OFF)
    assert await world.info("key-3") == SharingInfo(("phone-admin", "phone-rider"), ON)


async def test_a_family_of_one_shares_with_nobody_and_is_told(world: World) -> None:
    await world.make_family(ADMIN, "phone-admin")
    assert await world.share(True, rider=ADMIN.yandex_uid) == "OK"
    assert await world.info() == SharingInfo((), ON)


async def test_a_rider_without_a_family_cannot_share_but_can_stop_to(world: World) -> None:
    family_id = await smiths(world)
    assert await world.share(True, rider="stranger") == "NOT_IN_FAMILY"
    assert not any((await world.tables()).values())
    await world.share(True)
    await world.family.remove_member(family_id=family_id, yandex_uid="1")
    before = await world.tables()
    assert await world.share(True) == "NOT_IN_FAMILY"
    assert await world.tables() == before
    assert await world.share(False) == "OK"
    assert await world.info() == SharingInfo((), OFF)


async def test_the_key_of_another_order_is_refused_and_nothing_changes(world: World) -> None:
    await smiths(world)
    await world.share(True)
    before = await world.tables()
    for on in (True, False):
        assert await world.share(on, order="another") == "SHARING_KEY_CONFLICT"
    assert await world.tables() == before


async def test_an_order_may_have_several_keys(world: World) -> None:
    await smiths(world)
    assert [await world.share(True, key=key) for key in ("key-1", "key-2")] == ["OK", "OK"]
    await world.share(False, key="key-1")
    assert (await world.info("key-2")).family == ON


async def test_before_the_first_toggle_the_family_is_the_riders_and_sharing_is_off(world: World) -> None:
    family_id = await smiths(world)
    await world.insert("phone-friend", rider=RIDER.yandex_uid)
    assert await world.info() == SharingInfo(("phone-friend",), OFF)
    assert await world.share(True) == "OK"
    assert (await world.info()).family == ON
    # From then on it is the one that the ride was shared with.
    await world.share(False)
    await world.family.remove_member(family_id=family_id, yandex_uid=RIDER.yandex_uid)
    assert await world.info() == SharingInfo(("phone-friend",), OFF)


async def test_before_the_first_toggle_a_rider_in_no_family_or_not_known_has_none(world: World) -> None:
    family_id = await smiths(world)
    await world.insert("phone-friend", key="stranger", order="1", rider="5")
    assert await world.info("stranger") == SharingInfo(("phone-friend",), None)
    await world.insert("phone-friend", key="unknown", order="2")
    assert await world.info("unknown") == SharingInfo(("phone-friend",), None)
    # A rider who joins or leaves a family is seen at once.
    await world.family.add_member(family_id=family_id, member=FamilyMember("5", "phone-stranger"))
    assert (await world.info("stranger")).family == OFF
    await world.family.remove_member(family_id=family_id, yandex_uid="5")
    assert (await world.info("stranger")).family is None


async def test_an_unknown_key_is_a_ride_that_is_shared_with_nobody(world: World) -> None:
    assert await world.info("nothing") == SharingInfo((), None)


async def test_the_moment_of_the_latest_change_of_the_toggle_is_kept(world: World) -> None:
    await smiths(world)
    changed = []
    for on in (True, False, False, True):
        world.clock[0] += timedelta(minutes=1)
        await world.share(on)
        changed += [row[4] for row in (await world.tables())["family_rides"]]
    assert [moment == earlier for earlier, moment in itertools.pairwise(changed)] == [False, True, False]
