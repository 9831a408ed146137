"""The client of the card of a ride under way: its generated call, with fallback."""

from __future__ import annotations

import dataclasses

from ridehail_clients._async.generated.apiproxy import AsyncTaxiOnTheWayCalls
from ridehail_clients.calls.call_metadata import Metadata
from ridehail_clients.models import RideCard, RoadStatus, UserActions
from ridehail_clients.road_fallback import CardRoadCache, RoadFallback


class AsyncTaxiOnTheWayClient(AsyncTaxiOnTheWayCalls):
    """The card of a ride, through the gateway. Banners come in the language of the metadata `accept-language`.

    The constructor is that of its base.
    """

    async def taxi_on_the_way(
        self,
        *,
        order_id: str,
        user_actions: UserActions | None = None,
        fallback: CardRoadCache | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> RideCard:
        """Returns the card of the rider's order, after carrying out what the rider did in it.

        Args:
            order_id: The order.
            user_actions: What the rider has done in the card since the previous call, or None for nothing.
            fallback: Where the last known road of each order is kept, by order id: any mutable mapping. Known roads are
                put there, and a ride that has none is dropped. While the road is unknown, the last known one is taken
                from there.
            timeout: Seconds for the whole call.
            metadata: Further metadata of the call.

        Returns:
            The card. While its `toll_road_status` is `UNKNOWN`, its road is the last known one, with `stale=True`, or
            None if the fallback does not hold the order. What else was not available in time is omitted; an action that
            could not be carried out shows in the banner's `is_selected`.

        Raises:
            OrderNotFound: No such order, or another passenger's.
            NeighbourUnavailable: order_core is unavailable.
        """
        last = None if fallback is None else RoadFallback(fallback, order_id)
        card = await self._taxi_on_the_way(
            order_id=order_id, user_actions=user_actions, timeout=timeout, metadata=metadata
        )
        if card.toll_road is not None and card.toll_road_status is RoadStatus.UNKNOWN:  # of a server that does not say
            card = dataclasses.replace(card, toll_road_status=RoadStatus.KNOWN)
        if last is None:
            return card
        if card.toll_road is not None:
            last.remember(card.toll_road)
        elif card.toll_road_status is RoadStatus.NONE:
            last.forget()
        else:
            return dataclasses.replace(card, toll_road=last.last_known())
        return card
