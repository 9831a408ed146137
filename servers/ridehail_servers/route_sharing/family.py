"""family, as far as route_sharing needs it."""

from __future__ import annotations

from ridehail_clients import AsyncFamilyClient, FamilyNotFound, InvalidRequest, ServiceError
from ridehail_kernel import call_context
from ridehail_servers.chassis.errors import DependencyUnavailable

from .errors import NotInFamily
from .family_share import FamilyShare, others_phones

# Of what is left of the call's time: the rest is for storing what family says, or for the answer that it is silent.
_WAIT_SHARE = 0.7


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
        remaining = call_context.remaining()
        patience = None if remaining is None else remaining * _WAIT_SHARE
        try:
            family = await self._client.get_family(yandex_uid=rider, timeout=patience)
        except FamilyNotFound as error:
            raise NotInFamily from error
        except InvalidRequest:
            raise  # both contracts have the same rule for a rider, so it is reported as a defect
        except ServiceError as error:
            raise DependencyUnavailable("family") from error
        return FamilyShare(
            admin_uid=int(family.admin.yandex_uid),
            admin_name=family.admin.name,
            phone_ids=others_phones(((member.yandex_uid, member.phone_id) for member in family.members), rider),
        )
