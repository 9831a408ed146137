"""The gRPC service of family."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.family.v1 import family_api_pb2 as api
from ridehail.family.v1 import family_api_pb2_grpc as api_grpc
from ridehail.family.v1 import family_pb2

from .codec import snapshot_to_message
from .families import Families
from .membership import Member, Role

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
