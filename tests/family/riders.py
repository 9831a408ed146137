"""Passengers with their apps, as the gateway calls for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from ridehail.family.v1 import family_api_pb2
from ridehail_clients import ServiceError
from tests.support.calls import call
from tests.support.suite_in_process import SuiteInProcess

SERVICE = family_api_pb2.DESCRIPTOR.services_by_name["PassengerFamilyService"]


def request_of(method: str, **fields: str) -> Message:
    kind: Any = getattr(family_api_pb2, SERVICE.methods_by_name[method].input_type.name)
    return kind(**fields)  # type: ignore[no-any-return]  # a generated class


def path_of(method: str) -> str:
    return f"/{SERVICE.full_name}/{method}"


@dataclass(frozen=True)
class Rider:
    """A passenger, whose session has the phone unless it is empty."""

    suite: SuiteInProcess
    channel: grpc.aio.Channel
    uid: str
    phone: str = ""

    async def get(self, method: str, **fields: str) -> Any:  # a response of any method
        """Calls a method; raises `ServiceError`."""
        metadata = self.suite.metadata("gateway", "family", self.uid, phone_id=self.phone)
        response = await call(self.channel, path_of(method), request_of(method, **fields), metadata=metadata)
        return getattr(family_api_pb2, SERVICE.methods_by_name[method].output_type.name).FromString(response)

    async def does(self, method: str, **fields: str) -> str:
        """Calls a method; returns OK or the reason why not."""
        try:
            await self.get(method, **fields)
        except ServiceError as error:
            return error.reason
        return "OK"

    async def invite(self, phone: str, name: str = "Guest") -> str:
        """Invites a phone; returns the invitation's id."""
        return str((await self.get("Invite", phone_id=phone, name=name)).invitation.invitation_id)

    async def members(self) -> list[tuple[str, str, bool]]:
        """Returns name and role of each member of the rider's family, and whether it is the rider."""
        return [(one.name, one.role, one.is_me) for one in (await self.get("GetFamily")).members]

    async def member_id(self, name: str) -> str:
        members = (await self.get("GetFamily")).members
        return str(next(one.member_id for one in members if one.name == name))

    async def sent(self) -> list[str]:
        return [one.invitation_id for one in (await self.get("ListInvitations")).sent]

    async def received(self) -> list[str]:
        return [one.invitation_id for one in (await self.get("ListInvitations")).received]
