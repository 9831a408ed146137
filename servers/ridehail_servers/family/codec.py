"""Messages of families and invitations."""

from __future__ import annotations

from ridehail.family.v1 import family_api_pb2 as api
from ridehail.family.v1 import family_pb2

from .invitation import Invitation, WaitingInvitation
from .membership import Family, FamilySnapshot, Member, Role


def snapshot_to_message(snapshot: FamilySnapshot) -> family_pb2.FamilyState:
    admin = None
    if snapshot.admin_uid is not None:
        admin = family_pb2.FamilyAdmin(yandex_uid=snapshot.admin_uid, name=snapshot.admin_name)
    return family_pb2.FamilyState(
        family_id=snapshot.family_id,
        version=snapshot.version,
        admin=admin,
        members=[
            family_pb2.FamilyMembership(
                membership_id=one.membership_id, yandex_uid=one.yandex_uid, phone_id=one.phone_id
            )
            for one in snapshot.members
        ],
    )


def own_family_to_message(family: Family, rider: str) -> api.PassengerFamilyServiceGetFamilyResponse:
    """Shows a family to one of its members: no account and no phone of the others."""

    def name_of(member: Member) -> str:
        return family.admin_name if member.role is Role.OWNER else member.name

    return api.PassengerFamilyServiceGetFamilyResponse(
        family_id=family.family_id,
        role=Role.OWNER if family.admin.yandex_uid == rider else Role.USER,
        members=[
            api.OwnFamilyMember(
                member_id=one.membership_id, name=name_of(one), role=one.role, is_me=one.yandex_uid == rider
            )
            for one in family.members
        ],
    )


def sent_to_message(invitation: Invitation) -> api.SentInvitation:
    message = api.SentInvitation(invitation_id=invitation.invitation_id, name=invitation.name)
    message.expires_at.FromDatetime(invitation.expires_at)
    return message


def received_to_message(invitation: WaitingInvitation) -> api.ReceivedInvitation:
    message = api.ReceivedInvitation(invitation_id=invitation.invitation_id, owner_name=invitation.owner_name)
    message.expires_at.FromDatetime(invitation.expires_at)
    return message
