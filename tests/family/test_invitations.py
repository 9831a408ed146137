"""Invitations: nobody is put into a family unasked, and nobody learns who uses the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ridehail_clients import AsyncFamilyClient, FamilyMember, InvitationRateExceeded, ServiceError
from ridehail_servers.family.membership import MAX_MEMBERS
from tests.family.riders import Rider
from tests.support.suite_in_process import SuiteInProcess

Riders = Callable[..., Rider]
NOT_FOUND = "INVITATION_NOT_FOUND"


@pytest.fixture
async def ann(rider: Riders) -> Rider:
    """Owns a family."""
    ann = rider("1", "phone-1")
    await ann.get("CreateFamily", name="Ann")
    return ann


@pytest.fixture
def bob(rider: Riders) -> Rider:
    return rider("2", "phone-2")


async def age(suite: SuiteInProcess, hours: int) -> None:
    """Makes all invitations older."""
    await suite.execute(
        "UPDATE family.invitations SET created_at = created_at - make_interval(hours => %s),"
        " expires_at = expires_at - make_interval(hours => %s)",
        hours,
        hours,
    )


async def purge(suite: SuiteInProcess) -> None:
    (built,) = (service for definition, service in suite.built.services if definition.name == "family")
    await next(task for task in built.tasks if task.name == "family_purge").run(0)


async def test_an_invitation_is_shown_to_its_phone_alone_and_makes_no_member_until_it_is_accepted(
    ann: Rider, bob: Rider, rider: Riders
) -> None:
    invitation = await ann.invite("phone-2", "Bobby")
    (shown,) = (await bob.get("ListInvitations")).received
    assert (shown.invitation_id, shown.owner_name) == (invitation, "Ann")
    for stranger in (rider("3", "phone-3"), rider("2"), ann):
        assert await stranger.received() == []
    assert await bob.does("GetFamily") == "FAMILY_NOT_FOUND"
    for _ in range(2):
        assert await bob.does("AcceptInvitation", invitation_id=invitation) == "OK"
    assert await ann.members() == [("Ann", "owner", True), ("Bobby", "user", False)]
    assert await bob.received() == await ann.sent() == []


async def test_to_its_sender_an_invitation_looks_the_same_whoever_has_the_phone_and_whatever_they_do(
    ann: Rider, bob: Rider, rider: Riders
) -> None:
    """Of the phones one is nobody's, one a rider's, one another family's, and one rider declines."""
    other = rider("4", "phone-4")
    await other.get("CreateFamily", name="Other")
    phones = ("phone-nobody", "phone-2", "phone-4", "phone-5")
    invitations = [await ann.invite(phone) for phone in phones]
    assert await rider("5", "phone-5").does("DeclineInvitation", invitation_id=invitations[3]) == "OK"
    assert await other.does("AcceptInvitation", invitation_id=invitations[2]) == "ALREADY_IN_FAMILY"
    assert await ann.sent() == invitations
    assert [await ann.invite(phone) for phone in phones] == invitations
    expiries = {one.expires_at.seconds for one in (await ann.get("ListInvitations")).sent}
    assert max(expiries) - min(expiries) < 60


async def test_a_declined_invitation_is_gone_from_the_list_and_cannot_be_accepted(ann: Rider, bob: Rider) -> None:
    invitation = await ann.invite("phone-2")
    for _ in range(2):
        assert await bob.does("DeclineInvitation", invitation_id=invitation) == "OK"
    assert await bob.received() == []
    assert await bob.does("AcceptInvitation", invitation_id=invitation) == NOT_FOUND


async def test_who_has_declined_is_not_asked_again_by_that_owner_until_the_invitation_would_have_expired(
    ann: Rider, bob: Rider, rider: Riders, suite: SuiteInProcess
) -> None:
    declined = await ann.invite("phone-2")
    await bob.get("DeclineInvitation", invitation_id=declined)
    await ann.get("RevokeInvitation", invitation_id=declined)
    again = await ann.invite("phone-2")
    assert await ann.sent() == [again] != [declined]
    await ann.get("DisbandFamily", family_id=(await ann.get("GetFamily")).family_id)
    await ann.get("CreateFamily", name="Ann")
    of_new_family = await ann.invite("phone-2")
    assert await ann.sent() == [of_new_family]
    assert await bob.received() == []
    assert await bob.does("AcceptInvitation", invitation_id=again) == NOT_FOUND
    other = rider("4", "phone-4")
    await other.get("CreateFamily", name="Other")
    of_other = await other.invite("phone-2")
    assert await bob.received() == [of_other]
    await age(suite, 169)
    of_next_week = await ann.invite("phone-2")
    assert await bob.received() == [of_next_week]


async def test_a_revoked_invitation_is_void_and_the_phone_can_be_invited_again(ann: Rider, bob: Rider) -> None:
    invitation = await ann.invite("phone-2")
    for _ in range(2):
        assert await ann.does("RevokeInvitation", invitation_id=invitation) == "OK"
    assert await bob.received() == await ann.sent() == []
    assert await bob.does("AcceptInvitation", invitation_id=invitation) == NOT_FOUND
    again = await ann.invite("phone-2")
    assert again != invitation
    assert await bob.does("AcceptInvitation", invitation_id=again) == "OK"


async def test_an_invitation_ends_by_itself_and_another_takes_its_place(
    ann: Rider, bob: Rider, suite: SuiteInProcess
) -> None:
    invitation = await ann.invite("phone-2")
    await age(suite, 167)
    assert await bob.received() == [invitation]
    await age(suite, 2)
    assert await bob.received() == await ann.sent() == []
    for method in ("AcceptInvitation", "DeclineInvitation"):
        assert await bob.does(method, invitation_id=invitation) == NOT_FOUND
    assert await bob.does("AcceptInvitation", invitation_id=await ann.invite("phone-2")) == "OK"


async def test_one_who_has_left_is_no_member_by_the_old_invitation(ann: Rider, bob: Rider) -> None:
    invitation = await ann.invite("phone-2")
    await bob.get("AcceptInvitation", invitation_id=invitation)
    await bob.get("LeaveFamily", family_id=(await ann.get("GetFamily")).family_id)
    assert await bob.does("AcceptInvitation", invitation_id=invitation) == NOT_FOUND


async def test_who_leaves_the_other_family_may_accept_then(ann: Rider, bob: Rider) -> None:
    invitation = await ann.invite("phone-2")
    own = (await bob.get("CreateFamily", name="Bob")).family_id
    assert await bob.does("AcceptInvitation", invitation_id=invitation) == "ALREADY_IN_FAMILY"
    assert await bob.members() == [("Bob", "owner", True)]
    await bob.get("DisbandFamily", family_id=own)
    assert await bob.does("AcceptInvitation", invitation_id=invitation) == "OK"


# --- how many


async def test_ten_are_open_at_a_time(ann: Rider) -> None:
    invitations = [await ann.invite(f"phone-{number}") for number in range(10, 20)]
    with pytest.raises(ServiceError) as refused:
        await ann.invite("phone-20")
    assert (refused.value.reason, dict(refused.value.metadata)) == ("TOO_MANY_INVITATIONS", {"max_open": "10"})
    assert await ann.invite("phone-10") == invitations[0]
    await ann.get("RevokeInvitation", invitation_id=invitations[3])
    await ann.invite("phone-20")


async def test_twenty_are_sent_a_day_whatever_becomes_of_them_and_of_the_family(
    ann: Rider, suite: SuiteInProcess
) -> None:
    for number in range(20):
        await ann.get("RevokeInvitation", invitation_id=await ann.invite(f"phone-{number}"))
    await ann.get("DisbandFamily", family_id=(await ann.get("GetFamily")).family_id)
    await ann.get("CreateFamily", name="Ann")
    with pytest.raises(InvitationRateExceeded) as refused:
        await ann.invite("phone-99")
    assert dict(refused.value.metadata) == {"max_a_day": "20"}
    assert refused.value.retry_after is not None
    assert 23 * 3600 < refused.value.retry_after <= 24 * 3600
    await age(suite, 24)
    await ann.invite("phone-99")


async def test_members_and_open_invitations_are_fifty_together(
    ann: Rider, family: AsyncFamilyClient, rider: Riders
) -> None:
    family_id = (await ann.get("GetFamily")).family_id
    for number in range(100, 100 + MAX_MEMBERS - 2):
        await family.add_member(family_id=family_id, member=FamilyMember(f"{number}", "p"))
    invitation = await ann.invite("phone-2")
    assert await ann.does("Invite", phone_id="phone-3", name="x") == "FAMILY_FULL"
    # A service takes the last place.
    await family.add_member(family_id=family_id, member=FamilyMember("999", "p"))
    assert await rider("2", "phone-2").does("AcceptInvitation", invitation_id=invitation) == "FAMILY_FULL"
    await family.remove_member(family_id=family_id, yandex_uid="999")
    assert await rider("2", "phone-2").does("AcceptInvitation", invitation_id=invitation) == "OK"


# --- at once


async def test_one_who_accepts_two_families_at_once_is_in_one(ann: Rider, bob: Rider, rider: Riders) -> None:
    other = rider("4", "phone-4")
    await other.get("CreateFamily", name="Other")
    invitations = [await owner.invite("phone-2") for owner in (ann, other)]
    accepted = await asyncio.gather(*(bob.does("AcceptInvitation", invitation_id=one) for one in invitations))
    assert sorted(accepted) == ["ALREADY_IN_FAMILY", "OK"]


@pytest.mark.parametrize("_run", range(5))
async def test_of_accepting_and_revoking_at_once_one_has_its_way(
    ann: Rider, bob: Rider, suite: SuiteInProcess, _run: int
) -> None:
    invitation = await ann.invite("phone-2")
    accepted, revoked = await asyncio.gather(
        bob.does("AcceptInvitation", invitation_id=invitation), ann.does("RevokeInvitation", invitation_id=invitation)
    )
    assert revoked == "OK"
    assert await suite.rows("SELECT count(*) FROM family.members") == [(2 if accepted == "OK" else 1,)]
    assert accepted in {"OK", NOT_FOUND}


async def test_of_many_at_once_to_one_phone_there_is_one(ann: Rider) -> None:
    assert len(set(await asyncio.gather(*(ann.invite("phone-2") for _ in range(6))))) == 1


# --- what goes


async def test_invitations_go_a_day_after_they_expired_and_disbanded_families_a_week_later(
    ann: Rider, suite: SuiteInProcess
) -> None:
    await ann.invite("phone-2")
    await age(suite, 168 + 23)
    await purge(suite)
    assert await suite.rows("SELECT count(*) FROM family.invitations") == [(1,)]
    await age(suite, 2)
    await purge(suite)
    assert await suite.rows("SELECT count(*) FROM family.invitations") == [(0,)]
    await ann.get("DisbandFamily", family_id=(await ann.get("GetFamily")).family_id)
    await suite.execute("UPDATE family.families SET disbanded_at = disbanded_at - interval '8 days'")
    await purge(suite)  # its end is not published yet
    assert await suite.rows("SELECT count(*) FROM family.families") == [(1,)]
    await suite.execute("UPDATE family.families SET published_version = version, unpublished_since = NULL")
    await purge(suite)
    assert await suite.rows("SELECT count(*) FROM family.families") == [(0,)]
