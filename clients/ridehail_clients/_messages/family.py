"""Requests and answers of family."""

from __future__ import annotations

from ridehail.family.v1 import family_api_pb2 as api
from ridehail.family.v1.family_pb2 import FamilyAdmin as FamilyAdminMessage
from ridehail.family.v1.family_pb2 import FamilyMember as FamilyMemberMessage
from ridehail_clients.models import Family, FamilyAdmin, FamilyMember


def create_family_request(*, admin: FamilyAdmin, phone_id: str) -> api.CreateFamilyRequest:
    """Builds the request of CreateFamily."""
    return api.CreateFamilyRequest(
        admin=FamilyAdminMessage(yandex_uid=admin.yandex_uid, name=admin.name), phone_id=phone_id
    )


def add_member_request(*, family_id: str, member: FamilyMember) -> api.AddMemberRequest:
    """Builds the request of AddMember."""
    return api.AddMemberRequest(
        family_id=family_id,
        member=FamilyMemberMessage(yandex_uid=member.yandex_uid, phone_id=member.phone_id, role=member.role),
    )


def family(answer: api.GetFamilyResponse) -> Family:
    """Reads the answer of GetFamily."""
    return Family(
        family_id=answer.family_id,
        admin=FamilyAdmin(yandex_uid=answer.admin.yandex_uid, name=answer.admin.name),
        members=tuple(
            FamilyMember(yandex_uid=one.yandex_uid, phone_id=one.phone_id, role=one.role) for one in answer.members
        ),
    )
