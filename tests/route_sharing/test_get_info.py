"""What is shown of a shared ride, and to whom: to everybody else it does not exist."""

from __future__ import annotations

import pytest

from ridehail.routesharing.v1 import route_sharing_api_pb2 as api
from ridehail_clients import FamilyAdmin, FamilyMember, SharedRide
from tests.route_sharing.harness import GET_INFO, Harness
from tests.support.calls import failure_of

NOTHING = "SHARING_KEY_NOT_FOUND"
SHOWN = SharedRide("order", "A ride on the family account of Ann")


@pytest.fixture
async def shared(harness: Harness) -> Harness:
    """A ride that is shared with a family and with a friend; another ride is shared with somebody else."""
    await harness.make_family(
        FamilyAdmin("7", "Ann"), "phone-admin", FamilyMember("1", "phone-rider"), FamilyMember("2", "phone-sister")
    )
    await harness.insert("phone-friend", rider="1")
    await harness.share(True)
    await harness.insert("phone-other", key="other-key", order="other-order", rider="3")
    return harness


async def test_it_is_shown_to_the_rider_and_to_phones_that_it_is_shared_with(shared: Harness) -> None:
    assert await shared.watch(uid="1") == SHOWN
    for phone in ("phone-admin", "phone-sister"):
        assert await shared.watch(phone_id=phone) == SHOWN
    # A passenger outside the family does not see whose account it is.
    assert await shared.watch(phone_id="phone-friend") == SharedRide("order", "A ride is shared with you")


@pytest.mark.parametrize(
    ("uid", "phone_id"),
    [
        ("3", "phone-other"),  # the rider and the guest of another ride
        ("7", ""),  # the admin of the family, with no phone
        ("2", "phone-new"),  # a member, with another phone than the family knows
        ("stranger", "phone-rider"),  # the rider's phone in another's hands
        ("stranger", ""),
        ("phone-friend", "1"),
        ("stranger", "PHONE-FRIEND"),
        ("stranger", "phone-friend."),
        ("stranger", "%"),
    ],
)
async def test_to_everybody_else_it_does_not_exist(shared: Harness, uid: str, phone_id: str) -> None:
    seen = await shared.watch(uid=uid, phone_id=phone_id)
    assert seen == await shared.watch("no-such-key", uid=uid, phone_id=phone_id) == NOTHING


async def test_a_refusal_is_the_same_word_for_word_whether_the_key_exists_or_not(shared: Harness) -> None:
    errors = []
    for key in ("key", "no-such-key"):
        request = api.GetInfoRequest(sharing_key=key)
        metadata = shared.passenger("stranger", "phone-other")
        errors.append(await failure_of(shared.channel, GET_INFO, request, metadata=metadata))
    known, unknown = ((error.code, error.reason, error.message, dict(error.metadata)) for error in errors)
    assert known == unknown
    assert known[3] == {}


async def test_a_member_sees_it_until_it_is_not_shared_with_the_family_any_more_a_friend_sees_it_still(
    shared: Harness,
) -> None:
    await shared.share(False)
    assert await shared.watch(phone_id="phone-sister") == NOTHING
    assert await shared.watch(phone_id="phone-friend") == SharedRide("order", "A ride is shared with you")


@pytest.mark.parametrize(
    ("accept_language", "family", "default"),
    [
        ("ru", "Семейная поездка, платит Ann", "Вам открыли маршрут поездки"),
        ("he-IL, en;q=0.5", "נסיעה בחשבון המשפחתי של Ann", "שיתפו אתכם בנסיעה"),
        ("en-GB", "A ride on the family account of Ann", "A ride is shared with you"),
        ("fr", "A ride on the family account of Ann", "A ride is shared with you"),
    ],
)
async def test_the_caption_is_in_the_passengers_language(
    shared: Harness, accept_language: str, family: str, default: str
) -> None:
    for phone, key, expected in (
        ("phone-sister", "key", family),
        ("phone-friend", "key", default),
        ("phone-other", "other-key", default),
    ):
        shown = await shared.watch(key, phone_id=phone, accept_language=accept_language)
        assert isinstance(shown, SharedRide)
        assert shown.popup_title == expected
