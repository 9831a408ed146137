"""Calls about families."""

from __future__ import annotations

from ridehail_clients import (
    Family,
    FamilyAdmin,
    FamilyMember,
    FamilyMembership,
    FamilyState,
    Invitations,
    OwnFamily,
    OwnFamilyMember,
    ReceivedInvitation,
    SentInvitation,
)
from tests.clients.cases.case import NOON, NOON_TEXT, Case, Json, sent_as_given

_STATE_JSON: Json = {
    "family_id": "family",
    "version": str(2**62),
    "admin": {"yandex_uid": "400", "name": "Ann"},
    "members": [{"membership_id": "m", "yandex_uid": "400", "phone_id": "phone"}],
}
_STATE = FamilyState("family", 2**62, FamilyAdmin("400", "Ann"), (FamilyMembership("m", "400", "phone"),))
_SENT_JSON: Json = {"invitation_id": "i", "name": "Bob", "expires_at": NOON_TEXT}
_SENT = SentInvitation("i", "Bob", NOON)
_DISBANDED = FamilyState("family", 3, None)

CASES: list[Case] = [
    sent_as_given(
        "FamilyService/GetFamily",
        {"yandex_uid": "400"},
        {
            "family_id": "family",
            "admin": {"yandex_uid": "400", "name": "Ann"},
            "members": [{"yandex_uid": "400", "phone_id": "phone", "role": "owner"}],
        },
        Family("family", FamilyAdmin("400", "Ann"), (FamilyMember("400", "phone", "owner"),)),
    ),
    Case(
        "FamilyService/CreateFamily",
        {"admin": FamilyAdmin("400", "Ann"), "phone_id": "phone"},
        {"admin": {"yandex_uid": "400", "name": "Ann"}, "phone_id": "phone"},
        {"family_id": "family"},
        "family",
    ),
    Case(
        "FamilyService/AddMember",
        {"family_id": "family", "member": FamilyMember("401", "phone")},
        {"family_id": "family", "member": {"yandex_uid": "401", "phone_id": "phone", "role": "user"}},
    ),
    sent_as_given("FamilyService/RemoveMember", {"family_id": "family", "yandex_uid": "401"}),
    sent_as_given("FamilyService/GetFamilyState", {"yandex_uid": "400"}, {"state": _STATE_JSON}, _STATE),
    sent_as_given(
        "PassengerFamilyService/GetFamily",
        {},
        {
            "family_id": "family",
            "role": "owner",
            "members": [{"member_id": "m", "name": "Ann", "role": "owner", "is_me": True}],
        },
        OwnFamily("family", "owner", (OwnFamilyMember("m", "Ann", "owner", is_me=True),)),
    ),
    sent_as_given("PassengerFamilyService/CreateFamily", {"name": "Ann"}, {"family_id": "family"}, "family"),
    sent_as_given("PassengerFamilyService/RenameOwner", {"name": "Ann"}),
    sent_as_given("PassengerFamilyService/DisbandFamily", {"family_id": "family"}),
    sent_as_given("PassengerFamilyService/LeaveFamily", {"family_id": "family"}),
    sent_as_given("PassengerFamilyService/RemoveMember", {"member_id": "m"}),
    sent_as_given(
        "PassengerFamilyService/ListInvitations",
        {},
        {"sent": [_SENT_JSON], "received": [{"invitation_id": "i", "owner_name": "Ann", "expires_at": NOON_TEXT}]},
        Invitations((_SENT,), (ReceivedInvitation("i", "Ann", NOON),)),
    ),
    sent_as_given(
        "PassengerFamilyService/Invite", {"phone_id": "phone", "name": "Bob"}, {"invitation": _SENT_JSON}, _SENT
    ),
    *(
        sent_as_given(f"PassengerFamilyService/{method}Invitation", {"invitation_id": "i"})
        for method in ("Revoke", "Accept", "Decline")
    ),
    Case("RouteSharingService/PutFamily", {"state": _STATE}, {"state": _STATE_JSON}),
    Case("RouteSharingService/PutFamily", {"state": _DISBANDED}, {"state": {"family_id": "family", "version": "3"}}),
]
