"""The client of family."""

from __future__ import annotations

from ridehail.family.v1 import family_api_pb2 as api
from ridehail.family.v1 import family_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncInternalClient
from ridehail_clients._messages import family as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.models import Family, FamilyAdmin, FamilyMember


class AsyncFamilyClient(AsyncInternalClient):
    """Who rides on whose account: `ridehail.family.v1.FamilyService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "family"
    service = api.DESCRIPTOR.services_by_name["FamilyService"]

    def _connect(self) -> None:
        self._stub = api_grpc.FamilyServiceStub(self._channel)

    async def get_family(self, *, yandex_uid: str, timeout: float | None = None, metadata: Metadata = ()) -> Family:
        """Tells a rider's family.

        Args:
            yandex_uid: The rider.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            FamilyNotFound: The rider is in no family.
        """
        request = api.GetFamilyRequest(yandex_uid=yandex_uid)
        answer = await self._transport.call(self._stub.GetFamily, request, timeout=timeout, metadata=metadata)
        return messages.family(answer)

    async def create_family(
        self, *, admin: FamilyAdmin, phone_id: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> str:
        """Makes a family of its admin alone. Not repeated by the client: a repeat would find the rider in a family.

        Args:
            admin: Who pays.
            phone_id: The admin's phone.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The new family's id.

        Raises:
            AlreadyInFamily: The rider is in a family already.
        """
        request = messages.create_family_request(admin=admin, phone_id=phone_id)
        answer = await self._transport.call(self._stub.CreateFamily, request, timeout=timeout, metadata=metadata)
        return answer.family_id

    async def add_member(
        self, *, family_id: str, member: FamilyMember, timeout: float | None = None, metadata: Metadata = ()
    ) -> None:
        """Adds a rider to a family, or changes the phone of one who is in it.

        Args:
            family_id: The family.
            member: Whom to add.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            FamilyNotFound: There is no such family.
            AlreadyInFamily: The rider is in another family.
            FamilyFull: The family has 50 members.
            InvalidRequest: The admin is to lose the role of the owner, or another rider is to get it.
        """
        request = messages.add_member_request(family_id=family_id, member=member)
        await self._transport.call(self._stub.AddMember, request, timeout=timeout, metadata=metadata)

    async def remove_member(
        self, *, family_id: str, yandex_uid: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> None:
        """Removes a rider from a family; no error if the rider is not in it.

        Args:
            family_id: The family.
            yandex_uid: Whom to remove.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            FamilyNotFound: There is no such family.
            FamilyAdminNotRemovable: The rider is the family's admin.
        """
        request = api.RemoveMemberRequest(family_id=family_id, yandex_uid=yandex_uid)
        await self._transport.call(self._stub.RemoveMember, request, timeout=timeout, metadata=metadata)
