"""The gRPC service of family."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.family.v1 import family_api_pb2 as api
from ridehail.family.v1 import family_api_pb2_grpc as api_grpc
from ridehail.family.v1 import family_pb2
from ridehail_servers.chassis.passenger import current_passenger

from .codec import own_family_to_message, received_to_message, sent_to_message, snapshot_to_message
from .families import Families
from .invitations import Invitations
from .membership import Member, Role, check_session
from .own_families import OwnFamilies

Context = grpc.aio.ServicerContext[Any, Any]


class FamilyServicer(api_grpc.FamilyServiceServicer):
    """See ridehail/family/v1/family_api.proto."""

    def __init__(self, families: Families) -> None:
        self._families = families

    async def GetFamily(self, request: api.GetFamilyRequest, context: Context) -> api.GetFamilyResponse:
        family = await self._families.of_rider(request.yandex_uid)
        return api.GetFamilyResponse(
            family_id=family.family_id,
            admin=family_pb2.FamilyAdmin(yandex_uid=family.admin.yandex_uid, name=family.admin_name),
            members=[
                family_pb2.FamilyMember(yandex_uid=one.yandex_uid, phone_id=one.phone_id, role=one.role)
                for one in family.members
            ],
        )

    async def GetFamilyState(self, request: api.GetFamilyStateRequest, context: Context) -> api.GetFamilyStateResponse:
        snapshot = await self._families.snapshot_of_rider(request.yandex_uid)
        return api.GetFamilyStateResponse(state=snapshot_to_message(snapshot))

    async def CreateFamily(self, request: api.CreateFamilyRequest, context: Context) -> api.CreateFamilyResponse:
        admin = Member(request.admin.yandex_uid, request.phone_id, Role.OWNER)
        return api.CreateFamilyResponse(family_id=await self._families.create(admin, request.admin.name))

    async def AddMember(self, request: api.AddMemberRequest, context: Context) -> api.AddMemberResponse:
        member = request.member
        await self._families.add(request.family_id, Member(member.yandex_uid, member.phone_id, Role(member.role)))
        return api.AddMemberResponse()

    async def RemoveMember(self, request: api.RemoveMemberRequest, context: Context) -> api.RemoveMemberResponse:
        await self._families.remove(request.family_id, request.yandex_uid)
        return api.RemoveMemberResponse()


class PassengerFamilyServicer(api_grpc.PassengerFamilyServiceServicer):
    """See ridehail/family/v1/family_api.proto. Who calls is known from the session alone."""

    def __init__(self, families: Families, own_families: OwnFamilies, invitations: Invitations) -> None:
        self._families = families
        self._own_families = own_families
        self._invitations = invitations

    async def GetFamily(
        self, request: api.PassengerFamilyServiceGetFamilyRequest, context: Context
    ) -> api.PassengerFamilyServiceGetFamilyResponse:
        rider = current_passenger().yandex_uid
        return own_family_to_message(await self._families.of_rider(rider), rider)

    async def CreateFamily(
        self, request: api.PassengerFamilyServiceCreateFamilyRequest, context: Context
    ) -> api.PassengerFamilyServiceCreateFamilyResponse:
        passenger = current_passenger()
        check_session(passenger.yandex_uid, passenger.phone_id)
        family_id = await self._own_families.create(passenger.yandex_uid, passenger.phone_id, request.name)
        return api.PassengerFamilyServiceCreateFamilyResponse(family_id=family_id)

    async def RenameOwner(self, request: api.RenameOwnerRequest, context: Context) -> api.RenameOwnerResponse:
        await self._own_families.rename_owner(current_passenger().yandex_uid, request.name)
        return api.RenameOwnerResponse()

    async def DisbandFamily(self, request: api.DisbandFamilyRequest, context: Context) -> api.DisbandFamilyResponse:
        await self._own_families.disband(current_passenger().yandex_uid, request.family_id)
        return api.DisbandFamilyResponse()

    async def LeaveFamily(self, request: api.LeaveFamilyRequest, context: Context) -> api.LeaveFamilyResponse:
        await self._own_families.leave(current_passenger().yandex_uid, request.family_id)
        return api.LeaveFamilyResponse()

    async def RemoveMember(
        self, request: api.PassengerFamilyServiceRemoveMemberRequest, context: Context
    ) -> api.PassengerFamilyServiceRemoveMemberResponse:
        await self._own_families.remove(current_passenger().yandex_uid, request.member_id)
        return api.PassengerFamilyServiceRemoveMemberResponse()

    async def ListInvitations(
        self, request: api.ListInvitationsRequest, context: Context
    ) -> api.ListInvitationsResponse:
        passenger = current_passenger()
        sent = await self._invitations.sent(passenger.yandex_uid)
        received = await self._invitations.received(passenger.yandex_uid, passenger.phone_id)
        return api.ListInvitationsResponse(sent=map(sent_to_message, sent), received=map(received_to_message, received))

    async def Invite(self, request: api.InviteRequest, context: Context) -> api.InviteResponse:
        sender = current_passenger().yandex_uid
        invitation = await self._invitations.send(sender, request.phone_id, request.name)
        return api.InviteResponse(invitation=sent_to_message(invitation))

    async def RevokeInvitation(
        self, request: api.RevokeInvitationRequest, context: Context
    ) -> api.RevokeInvitationResponse:
        await self._invitations.revoke(current_passenger().yandex_uid, request.invitation_id)
        return api.RevokeInvitationResponse()

    async def AcceptInvitation(
        self, request: api.AcceptInvitationRequest, context: Context
    ) -> api.AcceptInvitationResponse:
        passenger = current_passenger()
        check_session(passenger.yandex_uid, passenger.phone_id)
        await self._invitations.accept(passenger.yandex_uid, passenger.phone_id, request.invitation_id)
        return api.AcceptInvitationResponse()

    async def DeclineInvitation(
        self, request: api.DeclineInvitationRequest, context: Context
    ) -> api.DeclineInvitationResponse:
        await self._invitations.decline(current_passenger().phone_id, request.invitation_id)
        return api.DeclineInvitationResponse()
