"""Calls about families."""

from __future__ import annotations

from ridehail_clients import Family, FamilyAdmin, FamilyMember, FamilyMembership, FamilyState
from tests.clients.cases.case import Case, Json, sent_as_given

_STATE_JSON: Json = {
    "family_id": "family",
    "version": str(2**62),
    "admin": {"yandex_uid": "400", "name": "Ann"},
    "members": [{"membership_id": "m", "yandex_uid": "400", "phone_id": "phone"}],
}
_STATE = FamilyState("family", 2**62, FamilyAdmin("400", "Ann"), (FamilyMembership("m", "400", "phone"),))
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
    Case("RouteSharingService/PutFamily", {"state": _STATE}, {"state": _STATE_JSON}),
    Case("RouteSharingService/PutFamily", {"state": _DISBANDED}, {"state": {"family_id": "family", "version": "3"}}),
]
