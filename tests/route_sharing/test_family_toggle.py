"""The toggle: a ride is shared with the family, or not."""

from __future__ import annotations

import itertools
from datetime import timedelta

from ridehail_clients import FamilyAdmin, FamilyMember, SharingFamily, SharingInfo
from tests.route_sharing.harness import Harness

ADMIN = FamilyAdmin("393627008393627008", "Василий")  # beyond 32 bits
RIDER, SISTER = FamilyMember("1", "phone-rider"), FamilyMember("2", "phone-sister")
ON = SharingFamily(ADMIN.name, 393627008393627008, sharing_on=True)
OFF = SharingFamily(ADMIN.name, 393627008393627008, sharing_on=False)


async def smiths(harness: Harness) -> str:
    return await harness.make_family(ADMIN, "phone-admin", RIDER, SISTER)


async def test_on_shares_the_ride_with_the_phones_of_everybody_but_the_rider(harness: Harness) -> None:
    await smiths(harness)
    assert await harness.share(True) == "OK"
    assert await harness.info() == SharingInfo(("phone-admin", "phone-sister"), ON)


async def test_a_phone_that_the_rider_has_in_common_with_another_is_the_riders(harness: Harness) -> None:
    await harness.make_family(ADMIN, "phone-admin", RIDER, FamilyMember("2", RIDER.phone_id))
    assert await harness.share(True) == "OK"
    assert await harness.phones() == ("phone-admin",)


async def test_off_ends_it_and_remembers_the_family(harness: Harness) -> None:
    await smiths(harness)
    await harness.share(True)
    assert await harness.share(False) == "OK"
    assert await harness.info() == SharingInfo((), OFF)


async def test_a_repeat_changes_nothing(harness: Harness) -> None:
    await smiths(harness)
    for on, expected in ((True, SharingInfo(("phone-admin", "phone-sister"), ON)), (False, SharingInfo((), OFF))):
        for _ in range(3):
            assert await harness.share(on) == "OK"
            assert await harness.info() == expected


async def test_off_for_a_ride_that_was_never_shared_changes_nothing(harness: Harness) -> None:
    assert await harness.share(False) == "OK"
    assert not any((await harness.tables()).values())
    await harness.insert("phone-friend")
    assert await harness.share(False) == "OK"
    assert await harness.info() == SharingInfo(("phone-friend",), None)


async def test_phones_that_the_order_is_shared_with_survive_the_end_of_the_family_share(harness: Harness) -> None:
    await smiths(harness)
    await harness.insert("phone-sister", "phone-friend")
    await harness.share(True)
    assert await harness.phones() == ("phone-admin", "phone-friend", "phone-sister")
    await harness.share(False)
    assert await harness.info() == SharingInfo(("phone-friend", "phone-sister"), OFF)


async def test_on_again_takes_over_a_change_that_has_not_arrived_yet(harness: Harness) -> None:
    family_id = await smiths(harness)
    await harness.share(True)
    await harness.family.remove_member(family_id=family_id, yandex_uid="2")
    await harness.family.add_member(family_id=family_id, member=FamilyMember("3", "phone-uncle"))
    assert await harness.phones() == ("phone-admin", "phone-sister")
    await harness.share(True)
    assert await harness.phones() == ("phone-admin", "phone-uncle")


async def test_the_rides_of_a_family_are_shared_independently(harness: Harness) -> None:
    await smiths(harness)
    for key, rider in (("key-1", "1"), ("key-2", "1"), ("key-3", "2")):
        assert await harness.share(True, key=key, order=f"order of {key}", rider=rider) == "OK"
    assert await harness.share(False, key="key-2", order="order of key-2") == "OK"
    assert await harness.info("key-1") == SharingInfo(("phone-admin", "phone-sister"), ON)
    assert await harness.info("key-2") == SharingInfo((), OFF)
    assert await harness.info("key-3") == SharingInfo(("phone-admin", "phone-rider"), ON)


async def test_a_family_of_one_shares_with_nobody_and_is_shown(harness: Harness) -> None:
    await harness.make_family(ADMIN, "phone-admin")
    assert await harness.share(True, rider=ADMIN.yandex_uid) == "OK"
    assert await harness.info() == SharingInfo((), ON)


async def test_a_rider_without_a_family_cannot_share_but_can_stop_to(harness: Harness) -> None:
    family_id = await smiths(harness)
    assert await harness.share(True, rider="stranger") == "NOT_IN_FAMILY"
    assert not any((await harness.tables()).values())
    await harness.share(True)
    await harness.family.remove_member(family_id=family_id, yandex_uid="1")
    before = await harness.tables()
    assert await harness.share(True) == "NOT_IN_FAMILY"
    assert await harness.tables() == before
    assert await harness.share(False) == "OK"
    assert await harness.info() == SharingInfo((), OFF)
    await harness.settle()
    assert await harness.info() == SharingInfo((), None)


async def test_the_key_of_another_order_is_refused_and_nothing_changes(harness: Harness) -> None:
    await smiths(harness)
    await harness.share(True)
    before = await harness.tables()
    for on in (True, False):
        assert await harness.share(on, order="another") == "SHARING_KEY_CONFLICT"
    assert await harness.tables() == before


async def test_an_order_may_have_several_keys(harness: Harness) -> None:
    await smiths(harness)
    assert [await harness.share(True, key=key) for key in ("key-1", "key-2")] == ["OK", "OK"]
    await harness.share(False, key="key-1")
    assert (await harness.info("key-2")).family == ON


async def test_before_the_first_toggle_the_family_is_the_riders_and_sharing_is_off(harness: Harness) -> None:
    family_id = await smiths(harness)
    await harness.insert("phone-friend", rider=RIDER.yandex_uid)
    assert await harness.info() == SharingInfo(("phone-friend",), OFF)
    assert await harness.share(True) == "OK"
    assert (await harness.info()).family == ON
    # From then on it is the one that the ride was shared with, until the rider leaves it.
    await harness.share(False)
    await harness.family.remove_member(family_id=family_id, yandex_uid=RIDER.yandex_uid)
    assert await harness.info() == SharingInfo(("phone-friend",), OFF)
    await harness.settle()
    assert await harness.info() == SharingInfo(("phone-friend",), None)


async def test_before_the_first_toggle_a_rider_in_no_family_or_not_known_has_none(harness: Harness) -> None:
    family_id = await smiths(harness)
    await harness.insert("phone-friend", key="stranger", order="1", rider="5")
    assert await harness.info("stranger") == SharingInfo(("phone-friend",), None)
    await harness.insert("phone-friend", key="unknown", order="2")
    assert await harness.info("unknown") == SharingInfo(("phone-friend",), None)
    # A rider who joins or leaves a family is seen at once.
    await harness.family.add_member(family_id=family_id, member=FamilyMember("5", "phone-stranger"))
    assert (await harness.info("stranger")).family == OFF
    await harness.family.remove_member(family_id=family_id, yandex_uid="5")
    assert (await harness.info("stranger")).family is None


async def test_an_unknown_key_is_a_ride_that_is_shared_with_nobody(harness: Harness) -> None:
    assert await harness.info("nothing") == SharingInfo((), None)


async def test_the_timestamp_of_the_latest_change_of_the_toggle_is_kept(harness: Harness) -> None:
    await smiths(harness)
    changed = []
    for on in (True, False, False, True):
        harness.clock[0] += timedelta(minutes=1)
        await harness.share(on)
        changed += [row[4] for row in (await harness.tables())["family_rides"]]
    assert [instant == earlier for earlier, instant in itertools.pairwise(changed)] == [False, True, False]
