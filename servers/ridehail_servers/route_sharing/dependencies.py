"""Calls family and order_core."""

from __future__ import annotations

from ridehail_clients import AsyncFamilyClient, AsyncOrderCoreClient, FamilyNotFound, InvalidRequest
from ridehail_clients import OrderNotFound as NoSuchOrder
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import required_dependency
from ridehail_servers.chassis.errors import OrderNotFound

from .errors import NotInFamily
from .followed_family import FollowedAdmin, FollowedFamily, FollowedMember

# Of the deadline budget: the rest is for family, and for storing what it returns.
_ORDER_CORE_SHARE = 0.4
# The rest is for storing what family returns, or for reporting that it is unavailable.
_FAMILY_SHARE = 0.7


class OrderCore:
    """Looks up whose orders are."""

    def __init__(self, client: AsyncOrderCoreClient) -> None:
        self._client = client

    async def rider_of(self, order_id: str) -> str:
        """Returns the rider's account.

        Raises:
            OrderNotFound: There is no such order.
            DependencyUnavailable: order_core is.
        """
        # Both contracts have the same rule for an order, so its violation is a defect.
        with required_dependency(
            "order-core", {NoSuchOrder: lambda: OrderNotFound(order_id)}, defects=(InvalidRequest,)
        ):
            timeout = share_of_remaining(_ORDER_CORE_SHARE)
            return (await self._client.get_order_info(order_id=order_id, timeout=timeout)).yandex_uid


class FamilyService:
    """Looks up riders' families."""

    def __init__(self, client: AsyncFamilyClient) -> None:
        self._client = client

    async def family_of(self, rider: str) -> FollowedFamily:
        """Returns the rider's family as it is now.

        Raises:
            NotInFamily: The rider is in no family.
            DependencyUnavailable: family is.
        """
        # Both contracts have the same rule for a rider, so its violation is a defect.
        with required_dependency("family", {FamilyNotFound: NotInFamily}, defects=(InvalidRequest,)):
            state = await self._client.get_family_state(yandex_uid=rider, timeout=share_of_remaining(_FAMILY_SHARE))
        admin = None if state.admin is None else FollowedAdmin(int(state.admin.yandex_uid), state.admin.name)
        return FollowedFamily(
            family_id=state.family_id,
            version=state.version,
            admin=admin,
            members=tuple(FollowedMember(one.membership_id, one.yandex_uid, one.phone_id) for one in state.members),
        )
