"""The client of toll roads: its generated calls, with fallbacks."""

from __future__ import annotations

from ridehail_clients._async.generated.tollroads import AsyncTollRoadsCalls
from ridehail_clients.calls.call_metadata import Metadata
from ridehail_clients.errors import OrderNotFound, ServiceError
from ridehail_clients.models import OrderRoad
from ridehail_clients.road_fallback import RoadCache, RoadFallback
from ridehail_kernel.availability import is_unavailable


class AsyncTollRoadsClient(AsyncTollRoadsCalls):
    """Calls of other services about toll roads; see `AsyncCoalescingClient` for the arguments."""

    async def save_offer(self, *, offer_id: str, timeout: float | None = None, metadata: Metadata = ()) -> bool:
        """Remembers an offer as built by a toll road. A known offer keeps the time at which it was first saved.

        Building routes must not depend on this service, so nothing is raised while it is unavailable: the offer only
        serves to find fraud, which is tolerated meanwhile.

        Args:
            offer_id: The offer.
            timeout: Seconds for the whole call.
            metadata: Further metadata of the call.

        Returns:
            Whether the offer is known to be saved. If not, the service is unavailable (`is_unavailable`).

        Raises:
            ServiceError: The service refused the request or the caller; it will refuse a repeat as well.
        """
        try:
            await self._save_offer(offer_id=offer_id, timeout=timeout, metadata=metadata)
        except ServiceError as error:
            if is_unavailable(error):
                return False
            raise
        return True

    async def retrieve_order(
        self,
        *,
        order_id: str,
        fallback: RoadCache | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> OrderRoad:
        """Returns the road by which an order goes.

        Args:
            order_id: The order.
            fallback: Where the last known road of each order is kept, by order id: any mutable mapping. Returned
                roads are put there. While the service is unavailable (`is_unavailable`), the order's last known road is
                taken from there.
            timeout: Seconds for the whole call.
            metadata: Further metadata of the call.

        Returns:
            The road of the order's latest change, or with `stale=True` the last known one, from the fallback.

        Raises:
            OrderNotFound: No such order, or no road is known of it. It leaves the fallback as well.
            NeighbourUnavailable: order_core is unavailable (only while roads are looked up by offer), and the fallback
                does not hold the order.
            ServiceError: Any other failure; while the service is unavailable, only if the fallback does not hold the
                order.
        """
        if fallback is None:
            return await self._retrieve_order(order_id=order_id, timeout=timeout, metadata=metadata)
        last = RoadFallback(fallback, order_id)
        try:
            road = await self._retrieve_order(order_id=order_id, timeout=timeout, metadata=metadata)
        except OrderNotFound:
            last.forget()
            raise
        except ServiceError as error:
            known = last.last_known() if is_unavailable(error) else None
            if known is None:
                raise
            return known
        last.remember(road)
        return road
