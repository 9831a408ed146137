"""The rules of invitations over all that there may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail_servers.family.errors import (
    FamilyFull,
    InvitationRateExceeded,
    SessionIncomplete,
    TooManyInvitations,
)
from ridehail_servers.family.invitation import RATE_WINDOW, Invitation, InvitationLimits, check_invitation
from ridehail_servers.family.membership import MAX_MEMBERS, Family, Member, Role, check_session

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGO = st.timedeltas(timedelta(seconds=-5), timedelta(hours=48))


def family_of(members: int) -> Family:
    owner = Member("1", "p", Role.OWNER)
    return Family("family", "Ann", (owner, *(Member(f"{uid}", "p", Role.USER) for uid in range(2, members + 1))))


@given(st.integers(1, MAX_MEMBERS), st.integers(0, MAX_MEMBERS), st.integers(1, 49), st.none() | AGO)
def test_an_invitation_is_sent_only_if_there_is_a_place_for_it_among_members_open_ones_and_those_of_the_day(
    members: int, open_now: int, max_open: int, ago: timedelta | None
) -> None:
    limits = InvitationLimits(max_open=max_open)
    last = None if ago is None else NOW - ago
    has_place = members + open_now < MAX_MEMBERS
    is_in_window = ago is not None and ago < RATE_WINDOW
    wait: float | None = 0.0
    try:
        check_invitation(family_of(members), limits, open_now=open_now, last_of_day=last, now=NOW)
        assert has_place
        assert open_now < max_open
        assert not is_in_window
    except FamilyFull:
        assert not has_place
    except TooManyInvitations:
        assert open_now >= max_open
    except InvitationRateExceeded as refused:
        wait = refused.retry_after
    if wait:
        assert is_in_window
        # Who comes back then is let pass.
        later = NOW + timedelta(seconds=wait)
        check_invitation(family_of(members), limits, open_now=open_now, last_of_day=last, now=later)


@given(AGO, st.booleans(), st.booleans(), st.sampled_from(["phone", "other", ""]))
def test_an_invitation_is_open_to_its_phone_only_while_it_is_open_to_its_family(
    ago: timedelta, is_closed: bool, is_declined: bool, phone: str
) -> None:
    invitation = Invitation("i", "family", "phone", "Bob", NOW - ago, is_closed=is_closed, is_declined=is_declined)
    if invitation.is_open_to(phone, NOW):
        assert invitation.is_open(NOW)
        assert phone == "phone"
        assert not is_declined
    assert invitation.is_open(NOW) == (not is_closed and ago < timedelta(0))


@given(st.text(st.characters(codec="ascii"), max_size=20), st.sampled_from(["", "phone"]))
def test_a_session_is_taken_if_its_account_is_a_number_that_the_contract_takes_and_it_has_a_phone(
    uid: str, phone: str
) -> None:
    is_number = uid.isdigit() and not uid.startswith("0") and len(uid) <= 18
    try:
        check_session(uid, phone)
        assert is_number
        assert phone
    except SessionIncomplete:
        assert not (is_number and phone)
