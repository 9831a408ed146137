"""What the contract refuses, by field and rule, what it takes, and who may call."""

from __future__ import annotations

from google.protobuf.message import Message

from ridehail.family.v1.family_pb2 import FamilyAdmin, FamilyMembership, FamilyState
from ridehail.routesharing.v1 import route_sharing_api_pb2 as api
from ridehail.routesharing.v1.route_sharing_pb2 import ShareRideWithFamily
from ridehail_clients import SharingInfo
from tests.route_sharing.harness import GET_INFO, Harness
from tests.support.contract_rules import broken_rules, callers_of

SERVICE = "/ridehail.routesharing.v1.RouteSharingService"
SHARE, INFO, INSERT, PUT = (
    f"{SERVICE}/{method}" for method in ("ShareWithFamily", "GetSharingInfo", "EnqueueInsertOrder", "PutFamily")
)
BAD_IDS = ["", "x" * 129, "ы" * 129, "a\nb", "a\0b", "a\x7fb", "a\x85b", "a\u200bb", "\u202eab", "\ufeffa", "\ue000"]
GOOD_IDS = ["x", "x" * 128, "ы" * 128, "\U0001f695", "a b", "%", "%s", "'", '"', "\\", "../x", "{},NULL", "<b>", "{a}"]
ON = ShareRideWithFamily(value=True)


def share(**changes: object) -> api.ShareWithFamilyRequest:
    fields = {"order_id": "order", "sharing_key": "key", "share_ride_with_family": ON, "yandex_uid": "1", **changes}
    return api.ShareWithFamilyRequest(**fields)  # type: ignore[arg-type]  # a test's own mix


def insert(**changes: object) -> api.EnqueueInsertOrderRequest:
    return api.EnqueueInsertOrderRequest(**{"order_id": "order", "sharing_key": "key", **changes})  # type: ignore[arg-type]


def put(*members: FamilyMembership, admin: FamilyAdmin | None = None, **changes: object) -> api.PutFamilyRequest:
    fields = {"family_id": "family", "version": 1, **changes}
    return api.PutFamilyRequest(state=FamilyState(**fields, admin=admin, members=members))  # type: ignore[arg-type]


def member(**changes: str) -> FamilyMembership:
    return FamilyMembership(**{"membership_id": "m", "yandex_uid": "1", "phone_id": "phone", **changes})


Bad = tuple[str, Message, str, str]
CASES: list[Bad] = [
    *(
        (path, request, field, "string.id")
        for bad in BAD_IDS
        for path, request, field in [
            *((SHARE, share(**{name: bad}), name) for name in ("order_id", "sharing_key", "yandex_uid")),
            (INFO, api.GetSharingInfoRequest(sharing_key=bad), "sharing_key"),
            *((INSERT, insert(**{name: bad}), name) for name in ("order_id", "sharing_key", "yandex_uid")),
            (INSERT, insert(phone_ids=["good", bad]), "phone_ids[1]"),
            (PUT, put(family_id=bad), "state.family_id"),
            *(
                (PUT, put(member(), member(**{name: bad})), f"state.members[1].{name}")
                for name in ("membership_id", "yandex_uid", "phone_id")
            ),
            (GET_INFO, api.GetInfoRequest(sharing_key=bad), "sharing_key"),
        ]
    ),
    *((PUT, put(version=version), "state.version", "int64.gte") for version in (0, -1, -(2**63))),
    (PUT, api.PutFamilyRequest(), "state", "required"),
    (PUT, put(*(member(membership_id=f"{one}") for one in range(51))), "state.members", "repeated.max_items"),
    (PUT, put(admin=FamilyAdmin(yandex_uid="1" * 19, name="Ann")), "state.admin.yandex_uid", "string.pattern"),
    (PUT, put(admin=FamilyAdmin(yandex_uid="1", name=" ")), "state.admin.name", "string.written_text"),
    (SHARE, share(share_ride_with_family=None), "share_ride_with_family", "required"),
    (INSERT, insert(phone_ids=[f"phone-{number}" for number in range(101)]), "phone_ids", "repeated.max_items"),
]


def test_bad_requests_are_refused_by_field_and_rule() -> None:
    for path, request, field, rule in CASES:
        assert broken_rules(request) == [(field, rule)], (path, request)


def test_each_method_is_for_its_callers_alone() -> None:
    assert callers_of(INFO) == {"admin", "inapp-communications"}
    for path, caller in {SHARE: "api-proxy", INSERT: "processing", PUT: "family", GET_INFO: "gateway"}.items():
        assert callers_of(path) == {caller}


async def test_any_other_printable_id_is_taken_and_is_only_an_id(harness: Harness) -> None:
    for good in GOOD_IDS:
        await harness.insert(good, key=good, order=good, rider=good)
        assert await harness.info(good) == SharingInfo((good,), None)
        for passenger in ({"uid": good}, {"phone_id": good}) if good.isascii() else ():
            shown = await harness.watch(good, **passenger)
            assert not isinstance(shown, str)
            assert shown.order_id == good


async def test_a_hundred_phones_are_taken(harness: Harness) -> None:
    await harness.insert(*(f"phone-{number:03}" for number in range(100)))
    assert await harness.phones() == tuple(f"phone-{number:03}" for number in range(100))
