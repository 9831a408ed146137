"""order_core, as far as route_sharing needs it."""

from __future__ import annotations

from ridehail_clients import AsyncOrderCoreClient, InvalidRequest
from ridehail_clients import OrderNotFound as NoSuchOrder
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import required_dependency
from ridehail_servers.chassis.errors import OrderNotFound

# Of the deadline budget: the rest is for family, and for storing what it returns.
_ORDER_CORE_SHARE = 0.4


class OrderCore:
    """Tells whose orders are."""

    def __init__(self, client: AsyncOrderCoreClient) -> None:
        self._client = client

    async def rider_of(self, order_id: str) -> str:
        """Returns the rider's account.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: There is no such order.
            DependencyUnavailable: order_core does not answer.
        """
        # Both contracts have the same rule for an order, so its violation is a defect.
        with required_dependency(
            "order-core", {NoSuchOrder: lambda: OrderNotFound(order_id)}, defects=(InvalidRequest,)
        ):
            timeout = share_of_remaining(_ORDER_CORE_SHARE)
            return (await self._client.get_order_info(order_id=order_id, timeout=timeout)).yandex_uid
