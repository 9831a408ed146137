"""Calls route_sharing, which follows families."""

from __future__ import annotations

from ridehail_clients import AsyncRouteSharingClient, InvalidRequest
from ridehail_clients import FamilyAdmin as AdminModel
from ridehail_clients import FamilyMembership as MembershipModel
from ridehail_clients import FamilyState as StateModel
from ridehail_servers.chassis.dependency_calls import required_dependency

from .membership import FamilySnapshot


class RouteSharing:
    """Follows families for the sake of the rides that are shared with them."""

    def __init__(self, client: AsyncRouteSharingClient) -> None:
        self._client = client

    async def put_family(self, snapshot: FamilySnapshot) -> None:
        """Hands over a family.

        Raises:
            DependencyUnavailable: route_sharing is.
        """
        admin = None if snapshot.admin_uid is None else AdminModel(snapshot.admin_uid, snapshot.admin_name)
        members = tuple(MembershipModel(one.membership_id, one.yandex_uid, one.phone_id) for one in snapshot.members)
        # Nothing is stored that the contract refuses, so that is a defect.
        with required_dependency("route-sharing", {}, defects=(InvalidRequest,)):
            await self._client.put_family(state=StateModel(snapshot.family_id, snapshot.version, admin, members))
