"""Families as their callers see them."""

from __future__ import annotations

import asyncio

import pytest

from ridehail_clients import (
    AlreadyInFamily,
    AsyncFamilyClient,
    Family,
    FamilyAdmin,
    FamilyAdminNotRemovable,
    FamilyFull,
    FamilyMember,
    FamilyNotFound,
    InvalidRequest,
    ServiceError,
)
from ridehail_servers.family.membership import MAX_MEMBERS
from tests.support.suite_in_process import SuiteInProcess

ADMIN = FamilyAdmin("100000000000000001", "Василий")
OWNER = FamilyMember(ADMIN.yandex_uid, "phone-admin", "owner")


async def smiths(family: AsyncFamilyClient, *members: FamilyMember) -> str:
    family_id = await family.create_family(admin=ADMIN, phone_id=OWNER.phone_id)
    for member in members:
        await family.add_member(family_id=family_id, member=member)
    return family_id


async def test_every_member_sees_the_same_family_admin_first_then_by_addition(family: AsyncFamilyClient) -> None:
    members = (FamilyMember("9", "phone-9"), FamilyMember("8", "phone-8"))
    family_id = await smiths(family, *members)
    for uid in (ADMIN.yandex_uid, "8", "9"):
        assert await family.get_family(yandex_uid=uid) == Family(family_id, ADMIN, (OWNER, *members))


@pytest.mark.parametrize(
    "name",
    [
        "علی\u200cرضا",  # noqa: RUF001  # as it is written
        "ක්\u200dරිෂාන්ති",
        "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY}",
        "\u200eדוד (Dudu)",  # noqa: RUF001  # as it is written
        "Anne\xadMarie",
        "Zo\u0308e O'Brien-ß, 3rd",
        "\N{WAVING BLACK FLAG}\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "\u061cسمر\u200f",
        "ក" * 128,
    ],
)
async def test_a_name_is_kept_as_people_write_it(family: AsyncFamilyClient, name: str) -> None:
    admin = FamilyAdmin("7", name)
    await family.create_family(admin=admin, phone_id="phone")
    assert (await family.get_family(yandex_uid="7")).admin == admin


async def test_a_rider_without_a_family_is_in_none(family: AsyncFamilyClient) -> None:
    await smiths(family)
    for uid in ("8", "1", f"{ADMIN.yandex_uid}1"):
        with pytest.raises(FamilyNotFound):
            await family.get_family(yandex_uid=uid)


async def test_families_have_ids_of_their_own(family: AsyncFamilyClient) -> None:
    created = [await family.create_family(admin=FamilyAdmin(f"{uid}", "x"), phone_id="p") for uid in range(1, 9)]
    assert len(set(created)) == len(created)


async def test_the_admin_of_a_family_cannot_have_another(family: AsyncFamilyClient, suite: SuiteInProcess) -> None:
    await smiths(family, FamilyMember("8", "phone-8"))
    for uid in (ADMIN.yandex_uid, "8"):
        with pytest.raises(AlreadyInFamily) as refused:
            await family.create_family(admin=FamilyAdmin(uid, "x"), phone_id="p")
        assert dict(refused.value.metadata) == {}
    assert await suite.rows("SELECT count(*) FROM family.families") == [(1,)]


async def test_one_who_is_in_another_family_cannot_be_added(family: AsyncFamilyClient) -> None:
    await smiths(family, FamilyMember("8", "phone-8"))
    other = await family.create_family(admin=FamilyAdmin("2", "Other"), phone_id="p")
    for uid in (ADMIN.yandex_uid, "8"):
        with pytest.raises(AlreadyInFamily):
            await family.add_member(family_id=other, member=FamilyMember(uid, "p"))
    assert (await family.get_family(yandex_uid="2")).members == (FamilyMember("2", "p", "owner"),)


async def test_adding_a_member_again_changes_the_phone_and_keeps_the_place(family: AsyncFamilyClient) -> None:
    family_id = await smiths(family, FamilyMember("8", "old"), FamilyMember("9", "phone-9"))
    await family.add_member(family_id=family_id, member=FamilyMember("8", "new"))
    await family.add_member(family_id=family_id, member=FamilyMember(ADMIN.yandex_uid, "admin-new", "owner"))
    assert (await family.get_family(yandex_uid="8")).members == (
        FamilyMember(ADMIN.yandex_uid, "admin-new", "owner"),
        FamilyMember("8", "new"),
        FamilyMember("9", "phone-9"),
    )


@pytest.mark.parametrize(
    "member",
    [FamilyMember(ADMIN.yandex_uid, "p", "user"), FamilyMember("8", "p", "owner"), FamilyMember("7", "p", "owner")],
    ids=["the admin as user", "a member as owner", "a stranger as owner"],
)
async def test_the_owner_of_a_family_never_changes(family: AsyncFamilyClient, member: FamilyMember) -> None:
    family_id = await smiths(family, FamilyMember("8", "phone-8"))
    with pytest.raises(InvalidRequest) as refused:
        await family.add_member(family_id=family_id, member=member)
    assert [violation.field for violation in refused.value.violations] == ["member.role"]
    assert (await family.get_family(yandex_uid="8")).members == (OWNER, FamilyMember("8", "phone-8"))


async def test_a_family_has_fifty_members_at_most(family: AsyncFamilyClient) -> None:
    members = [FamilyMember(f"{uid}", f"phone-{uid}") for uid in range(1, MAX_MEMBERS)]
    family_id = await smiths(family, *members)
    with pytest.raises(FamilyFull) as refused:
        await family.add_member(family_id=family_id, member=FamilyMember("777", "p"))
    assert dict(refused.value.metadata) == {"max_members": "50"}
    # A change of a phone takes no place, and a place that was left can be taken.
    await family.add_member(family_id=family_id, member=FamilyMember("1", "new"))
    await family.remove_member(family_id=family_id, yandex_uid="2")
    await family.add_member(family_id=family_id, member=FamilyMember("777", "p"))
    assert len((await family.get_family(yandex_uid="777")).members) == 50


async def test_one_who_is_removed_is_in_no_family_and_may_join_another(family: AsyncFamilyClient) -> None:
    family_id = await smiths(family, FamilyMember("8", "phone-8"))
    for _ in range(2):  # a repeat does no harm
        await family.remove_member(family_id=family_id, yandex_uid="8")
    with pytest.raises(FamilyNotFound):
        await family.get_family(yandex_uid="8")
    await family.create_family(admin=FamilyAdmin("8", "Own"), phone_id="p")


async def test_the_admin_cannot_be_removed_and_others_only_from_their_own_family(family: AsyncFamilyClient) -> None:
    family_id = await smiths(family, FamilyMember("8", "phone-8"))
    other = await family.create_family(admin=FamilyAdmin("2", "Other"), phone_id="p")
    with pytest.raises(FamilyAdminNotRemovable):
        await family.remove_member(family_id=family_id, yandex_uid=ADMIN.yandex_uid)
    await family.remove_member(family_id=other, yandex_uid="8")
    await family.remove_member(family_id=other, yandex_uid=ADMIN.yandex_uid)
    assert (await family.get_family(yandex_uid="8")).members == (OWNER, FamilyMember("8", "phone-8"))


async def test_a_family_that_does_not_exist_takes_and_loses_nobody(family: AsyncFamilyClient) -> None:
    with pytest.raises(FamilyNotFound):
        await family.add_member(family_id="nothing", member=FamilyMember("8", "p"))
    with pytest.raises(FamilyNotFound):
        await family.remove_member(family_id="nothing", yandex_uid="8")


# --- at once


async def results(*calls: object) -> list[str]:
    """Makes calls at once; returns OK or the reason of each, sorted."""

    async def result(call: object) -> str:
        try:
            await call  # type: ignore[misc]  # any call of the client
        except ServiceError as error:
            return error.reason
        return "OK"

    return sorted(await asyncio.gather(*(result(call) for call in calls)))


async def test_of_many_families_made_at_once_for_one_admin_there_is_one(
    family: AsyncFamilyClient, suite: SuiteInProcess
) -> None:
    created = await results(*(family.create_family(admin=ADMIN, phone_id="p") for _ in range(8)))
    assert created == ["ALREADY_IN_FAMILY"] * 7 + ["OK"]
    assert await suite.rows("SELECT count(*) FROM family.families") == [(1,)]


async def test_one_who_is_added_to_two_families_at_once_is_in_one(
    family: AsyncFamilyClient, suite: SuiteInProcess
) -> None:
    ids = [await family.create_family(admin=FamilyAdmin(f"{uid}", "x"), phone_id="p") for uid in (1, 2, 3, 4)]
    joined = await results(*(family.add_member(family_id=one, member=FamilyMember("9", "p")) for one in ids))
    assert joined == ["ALREADY_IN_FAMILY"] * 3 + ["OK"]
    assert await suite.rows("SELECT count(*) FROM family.members WHERE yandex_uid = '9'") == [(1,)]


async def test_the_last_place_is_taken_once(family: AsyncFamilyClient) -> None:
    family_id = await smiths(family, *(FamilyMember(f"{uid}", "p") for uid in range(1, MAX_MEMBERS - 1)))
    joined = await results(
        *(family.add_member(family_id=family_id, member=FamilyMember(f"{uid}", "p")) for uid in range(900, 908))
    )
    assert joined == ["FAMILY_FULL"] * 7 + ["OK"]
    assert len((await family.get_family(yandex_uid=ADMIN.yandex_uid)).members) == 50
