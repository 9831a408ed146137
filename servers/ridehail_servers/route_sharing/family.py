"""family, as far as route_sharing needs it."""

from __future__ import annotations

from ridehail_clients import AsyncFamilyClient, FamilyNotFound, InvalidRequest
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import required_dependency

from .errors import NotInFamily
from .family_share import FamilyShare, others_phones

# Of the deadline budget: the rest is for storing what family returns, or for reporting that it is unavailable.
_FAMILY_SHARE = 0.7


class Family:
    """Tells riders' families."""

    def __init__(self, client: AsyncFamilyClient) -> None:
        self._client = client

    async def share_of(self, rider: str) -> FamilyShare:
        """Returns what a ride of the rider is shared with when it is shared with the family.

        Args:
            rider: The rider's account.

        Raises:
            NotInFamily: The rider is in no family.
            DependencyUnavailable: family does not answer.
        """
        # Both contracts have the same rule for a rider, so its violation is a defect.
        with required_dependency("family", {FamilyNotFound: NotInFamily}, defects=(InvalidRequest,)):
            family = await self._client.get_family(yandex_uid=rider, timeout=share_of_remaining(_FAMILY_SHARE))
        return FamilyShare(
            admin_uid=int(family.admin.yandex_uid),
            admin_name=family.admin.name,
            phone_ids=others_phones(((member.yandex_uid, member.phone_id) for member in family.members), rider),
        )
