"""A family in the hands of its members: what they see of it, who may change what, who may leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ridehail_clients import AsyncFamilyClient, FamilyAdmin, FamilyMember
from tests.family.riders import Rider
from tests.support.suite_in_process import SuiteInProcess

Riders = Callable[..., Rider]


@pytest.fixture
async def ann(rider: Riders) -> Rider:
    """Owns a family, of which Bob (2) is a member."""
    ann, bob = rider("1", "phone-1"), rider("2", "phone-2")
    await ann.get("CreateFamily", name="Ann")
    await bob.get("AcceptInvitation", invitation_id=await ann.invite("phone-2", "Bob"))
    return ann


async def family_id(rider: Rider) -> str:
    return str((await rider.get("GetFamily")).family_id)


async def version(suite: SuiteInProcess) -> int:
    ((found,),) = await suite.rows("SELECT version FROM family.families")
    return int(str(found))


async def test_members_see_one_another_by_name_without_accounts_and_phones(ann: Rider, rider: Riders) -> None:
    assert await ann.members() == [("Ann", "owner", True), ("Bob", "user", False)]
    assert await rider("2").members() == [("Ann", "owner", False), ("Bob", "user", True)]
    shown = str(await ann.get("GetFamily"))
    assert "phone" not in shown
    assert (await ann.get("GetFamily")).role == "owner"
    assert (await rider("2").get("GetFamily")).role == "user"


async def test_a_member_of_services_making_has_no_name(family: AsyncFamilyClient, rider: Riders) -> None:
    made = await family.create_family(admin=FamilyAdmin("1", "Ann"), phone_id="phone-1")
    await family.add_member(family_id=made, member=FamilyMember("2", "phone-2"))
    assert await rider("2").members() == [("Ann", "owner", False), ("", "user", True)]


async def test_to_create_again_returns_the_family_that_there_is(ann: Rider, rider: Riders) -> None:
    again = await ann.get("CreateFamily", name="Another")
    assert again.family_id == await family_id(ann)
    assert await ann.members() == [("Ann", "owner", True), ("Bob", "user", False)]
    assert await rider("2", "phone-2").does("CreateFamily", name="Bob") == "ALREADY_IN_FAMILY"


async def test_of_many_at_once_one_family_is_created(rider: Riders, suite: SuiteInProcess) -> None:
    made = await asyncio.gather(*(rider("1", "p").get("CreateFamily", name="Ann") for _ in range(8)))
    assert len({one.family_id for one in made}) == 1
    assert await suite.rows("SELECT count(*) FROM family.families") == [(1,)]


@pytest.mark.parametrize(
    ("uid", "phone", "lacks"),
    [("1", "", "phone_id"), ("abc", "p", "yandex_uid"), ("0", "p", "yandex_uid"), ("1" * 19, "p", "yandex_uid")],
)
async def test_a_session_without_phone_or_number_opens_no_family(
    rider: Riders, suite: SuiteInProcess, uid: str, phone: str, lacks: str
) -> None:
    for method, fields in (("CreateFamily", {"name": "Ann"}), ("AcceptInvitation", {"invitation_id": "x"})):
        with pytest.raises(Exception, match=f"the session lacks {lacks}"):
            await rider(uid, phone).get(method, **fields)
    assert await suite.rows("SELECT 1 FROM family.families") == []


async def test_a_member_leaves_and_may_do_so_again(ann: Rider, rider: Riders, suite: SuiteInProcess) -> None:
    family, bob = await family_id(ann), rider("2")
    assert await bob.does("LeaveFamily", family_id=family) == "OK"
    assert await ann.members() == [("Ann", "owner", True)]
    left_at = await version(suite)
    assert await bob.does("LeaveFamily", family_id=family) == "OK"
    assert await bob.does("GetFamily") == "FAMILY_NOT_FOUND"
    assert await version(suite) == left_at


async def test_a_late_repeat_of_leaving_leaves_no_other_family(ann: Rider, rider: Riders) -> None:
    family, bob = await family_id(ann), rider("2", "phone-2")
    await bob.get("LeaveFamily", family_id=family)
    await bob.get("CreateFamily", name="Bob")
    for method in ("LeaveFamily", "DisbandFamily"):
        assert await bob.does(method, family_id=family) == "OK"
    assert await bob.members() == [("Bob", "owner", True)]


async def test_the_owner_removes_a_member_but_neither_leaves_nor_is_removed(ann: Rider) -> None:
    assert await ann.does("LeaveFamily", family_id=await family_id(ann)) == "FAMILY_ADMIN_NOT_REMOVABLE"
    own = await ann.member_id("Ann")
    assert await ann.does("RemoveMember", member_id=own) == "FAMILY_ADMIN_NOT_REMOVABLE"
    bobs = await ann.member_id("Bob")
    for _ in range(2):
        assert await ann.does("RemoveMember", member_id=bobs) == "OK"
    assert await ann.members() == [("Ann", "owner", True)]


async def test_the_owner_is_called_by_the_latest_name(ann: Rider, rider: Riders, suite: SuiteInProcess) -> None:
    for _ in range(2):
        assert await ann.does("RenameOwner", name="Anna") == "OK"
    assert await rider("2").members() == [("Anna", "owner", False), ("Bob", "user", True)]
    renamed_at = await version(suite)
    await ann.get("RenameOwner", name="Anna")
    assert await version(suite) == renamed_at


async def test_a_disbanded_family_is_nobodys_and_its_invitations_are_void(
    ann: Rider, rider: Riders, suite: SuiteInProcess
) -> None:
    family, cid = await family_id(ann), rider("3", "phone-3")
    invitation = await ann.invite("phone-3")
    for _ in range(2):
        assert await ann.does("DisbandFamily", family_id=family) == "OK"
    for one in (ann, rider("2")):
        assert await one.does("GetFamily") == "FAMILY_NOT_FOUND"
    assert await cid.received() == []
    assert await cid.does("AcceptInvitation", invitation_id=invitation) == "INVITATION_NOT_FOUND"
    assert await suite.rows("SELECT admin_name, unpublished_since IS NULL FROM family.families") == [("", False)]
    assert await ann.does("CreateFamily", name="Ann") == "OK"


# --- what is not theirs


FOREIGN = [
    # Method, its fields, what another member gets, and what those get who are not of the family.
    ("RenameOwner", {"name": "Mine"}, "NOT_FAMILY_OWNER", "FAMILY_NOT_FOUND"),
    ("DisbandFamily", {"family_id": "{family}"}, "NOT_FAMILY_OWNER", "OK"),
    ("LeaveFamily", {"family_id": "{family}"}, "OK", "OK"),
    ("RemoveMember", {"member_id": "{cid}"}, "NOT_FAMILY_OWNER", "FAMILY_NOT_FOUND"),
    ("RemoveMember", {"member_id": "{ann}"}, "NOT_FAMILY_OWNER", "FAMILY_NOT_FOUND"),
    ("Invite", {"phone_id": "phone-9", "name": "Guest"}, "NOT_FAMILY_OWNER", "FAMILY_NOT_FOUND"),
    ("RevokeInvitation", {"invitation_id": "{sent}"}, "INVITATION_NOT_FOUND", "INVITATION_NOT_FOUND"),
    ("AcceptInvitation", {"invitation_id": "{sent}"}, "INVITATION_NOT_FOUND", "INVITATION_NOT_FOUND"),
    ("DeclineInvitation", {"invitation_id": "{sent}"}, "INVITATION_NOT_FOUND", "INVITATION_NOT_FOUND"),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=[f"{row[0]} {next(iter(row[1].values()))}" for row in FOREIGN])
async def test_what_is_another_familys_is_as_if_it_did_not_exist(
    ann: Rider, rider: Riders, suite: SuiteInProcess, foreign: tuple[str, dict[str, str], str, str]
) -> None:
    """For another member, for the owner of another family, and for one in none; Ann and Cid lose nothing."""
    method, fields, member, stranger = foreign
    cid, dan, eve = rider("3", "phone-3"), rider("4", "phone-4"), rider("5", "phone-5")
    await cid.get("AcceptInvitation", invitation_id=await ann.invite("phone-3", "Cid"))
    await dan.get("CreateFamily", name="Dan")
    ids = {
        "family": await family_id(ann),
        "ann": await ann.member_id("Ann"),
        "cid": await ann.member_id("Cid"),
        "sent": await ann.invite("phone-6"),
    }
    spelt = {name: value.format(**ids) for name, value in fields.items()}
    unknown = {name: "no-such-id" if "{" in value else value for name, value in fields.items()}

    async def stored() -> list[tuple[object, ...]]:
        return await suite.rows(
            "SELECT families.*::text, members.*::text, invitations.*::text FROM family.families"
            " JOIN family.members USING (family_id) LEFT JOIN family.invitations USING (family_id)"
            " WHERE family_id = %s AND yandex_uid <> '2' ORDER BY 2, 3",
            ids["family"],
        )

    before = await stored()
    assert await eve.does(method, **spelt) == await eve.does(method, **unknown) == stranger
    of_dan = await dan.does(method, **spelt)
    assert of_dan == await dan.does(method, **unknown)
    assert of_dan in {"OK", "INVITATION_NOT_FOUND"}
    assert await stored() == before
    bob = rider("2", "phone-2")
    if method != "LeaveFamily":
        assert await bob.does(method, **spelt) == member
        assert await stored() == before
