"""What the contract refuses, by field and rule, and who may call."""

from __future__ import annotations

from google.protobuf.message import Message

from ridehail.family.v1 import family_api_pb2 as api
from ridehail.family.v1.family_pb2 import FamilyAdmin, FamilyMember
from tests.family.riders import SERVICE as SERVICE_OF_PASSENGERS
from tests.family.riders import path_of, request_of
from tests.support.contract_rules import broken_rules, callers_of

SERVICE = "/ridehail.family.v1.FamilyService"
GET, STATE, CREATE, ADD, REMOVE = (
    f"{SERVICE}/{method}" for method in ("GetFamily", "GetFamilyState", "CreateFamily", "AddMember", "RemoveMember")
)
BAD_IDS = [
    "",
    "x" * 129,
    "ы" * 129,
    "a\nb",
    "a\0b",
    "a\x7fb",
    "a\u200bb",
    "\u202eab",
    "\ufeffa",
    "\ue000",
    "a\u2028b",
    "a\u2029b",
]
BAD_NAMES = ["a\u202ab", "a\u202db", "a\u2066b", "a\u2069b", "\u200d", " ", "\xa0", "\xad\u200e", "a\x85b"]
BAD_UIDS = ["", "0", "007", "-1", "+1", "1.0", "1e3", "abc", "1" * 19, " 1", "1\n", "١٢٣", "0x10", "1\0"]
BAD_ROLES = ["", "User", "admin", "owner ", "user,owner", "\0"]
PHONE, ROLE = "phone", "user"


def create(uid: str = "1", name: str = "Ann", phone_id: str = PHONE) -> api.CreateFamilyRequest:
    return api.CreateFamilyRequest(admin=FamilyAdmin(yandex_uid=uid, name=name), phone_id=phone_id)


def add(family_id: str = "family", uid: str = "1", phone_id: str = PHONE, role: str = ROLE) -> api.AddMemberRequest:
    member = FamilyMember(yandex_uid=uid, phone_id=phone_id, role=role)
    return api.AddMemberRequest(family_id=family_id, member=member)


Bad = tuple[str, Message, str, str]
CASES: list[Bad] = [
    *(
        case
        for bad in BAD_IDS
        for case in [
            (GET, api.GetFamilyRequest(yandex_uid=bad), "yandex_uid", "string.id"),
            (STATE, api.GetFamilyStateRequest(yandex_uid=bad), "yandex_uid", "string.id"),
            (CREATE, create(name=bad), "admin.name", "string.written_text"),
            (CREATE, create(phone_id=bad), "phone_id", "string.id"),
            (ADD, add(family_id=bad), "family_id", "string.id"),
            (ADD, add(phone_id=bad), "member.phone_id", "string.id"),
            (REMOVE, api.RemoveMemberRequest(family_id=bad, yandex_uid="1"), "family_id", "string.id"),
            (REMOVE, api.RemoveMemberRequest(family_id="family", yandex_uid=bad), "yandex_uid", "string.id"),
        ]
    ),
    *((CREATE, create(name=bad), "admin.name", "string.written_text") for bad in BAD_NAMES),
    *((CREATE, create(phone_id=bad), "phone_id", "string.id") for bad in ("a\u200cb", "a\xadb", "a\xa0b")),
    *((CREATE, create(uid=bad), "admin.yandex_uid", "string.pattern") for bad in BAD_UIDS),
    *((ADD, add(uid=bad), "member.yandex_uid", "string.pattern") for bad in BAD_UIDS),
    *((ADD, add(role=bad), "member.role", "string.in") for bad in BAD_ROLES),
    (CREATE, api.CreateFamilyRequest(phone_id=PHONE), "admin", "required"),
    (ADD, api.AddMemberRequest(family_id="family"), "member", "required"),
]


def test_bad_requests_are_refused_by_field_and_rule() -> None:
    for path, request, field, rule in CASES:
        assert broken_rules(request) == [(field, rule)], (path, request)


PASSENGERS: list[Bad] = [
    *(
        (path_of(method), request_of(method, **{field: bad}), field, "string.id")
        for bad in BAD_IDS
        for method, field in [
            ("DisbandFamily", "family_id"),
            ("LeaveFamily", "family_id"),
            ("RemoveMember", "member_id"),
            ("RevokeInvitation", "invitation_id"),
            ("AcceptInvitation", "invitation_id"),
            ("DeclineInvitation", "invitation_id"),
        ]
    ),
    *(
        (path_of(method), request_of(method, **{**fields, field: bad}), field, rule)
        for method, fields in [("CreateFamily", {}), ("RenameOwner", {}), ("Invite", {"phone_id": PHONE, "name": "x"})]
        for field, rule, values in [("name", "string.written_text", [*BAD_IDS, *BAD_NAMES])]
        for bad in values
    ),
    *(
        (path_of("Invite"), request_of("Invite", phone_id=bad, name="x"), "phone_id", "string.id")
        for bad in (*BAD_IDS, "a\u200cb", "a\xadb", "a\xa0b")
    ),
]


def test_bad_requests_of_passengers_are_refused_by_field_and_rule() -> None:
    for path, request, field, rule in PASSENGERS:
        assert broken_rules(request) == [(field, rule)], (path, request)


def test_passengers_methods_are_called_by_the_gateway_alone() -> None:
    for method in SERVICE_OF_PASSENGERS.methods_by_name:
        assert callers_of(path_of(method)) == {"gateway"}


def test_families_are_read_by_route_sharing_and_changed_by_admin_alone() -> None:
    for path in (GET, STATE):
        assert callers_of(path) == {"admin", "route-sharing"}
    for path in (CREATE, ADD, REMOVE):
        assert callers_of(path) == {"admin"}
