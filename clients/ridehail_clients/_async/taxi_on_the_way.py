"""Clients of the card of a ride under way."""

from __future__ import annotations

import dataclasses

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncPassengerClient
from ridehail_clients._messages import taxi_on_the_way as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.card_models import RideCard, RoadStatus, UserActions
from ridehail_clients.road_fallback import CardRoadCache, RoadFallback


class AsyncTaxiOnTheWayClient(AsyncPassengerClient):
    """What the card of a ride shows: `ridehail.apiproxy.v1.TaxiOnTheWayService`, by the gateway.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along: banners come in
    the language of `("accept-language", "he, en;q=0.8")`. Every method raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "api-proxy"
    service = api.DESCRIPTOR.services_by_name["TaxiOnTheWayService"]

    def _connect(self) -> None:
        self._stub = api_grpc.TaxiOnTheWayServiceStub(self._channel)

    async def taxi_on_the_way(
        self,
        *,
        order_id: str,
        user_actions: UserActions | None = None,
        fallback: CardRoadCache | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> RideCard:
        """Tells what the card of the rider's order shows, after having done what the rider did in it.

        Args:
            order_id: The order.
            user_actions: What the rider has done in the card since the call before; None: nothing.
            fallback: Where the last known road of each order is kept, by order id: any mutable mapping. Known roads are
                put there, and a ride that has none leaves it. While the road is unknown, the last known one is taken
                from there. None: there is no fallback.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The card. While its `toll_road_status` is `UNKNOWN`, its road is the last known one, with `stale=True`, or
            None if the fallback knows nothing of the order. What else could not be told in time is left out; an action
            that could not be carried out shows in the banner's `is_selected`.

        Raises:
            OrderNotFound: No such order, or another passenger's.
            NeighbourUnavailable: order_core does not answer.
        """
        last = None if fallback is None else RoadFallback(fallback, order_id)
        request = messages.taxi_on_the_way_request(order_id=order_id, user_actions=user_actions)
        answer = await self._transport.call(self._stub.TaxiOnTheWay, request, timeout=timeout, metadata=metadata)
        card = messages.ride_card(answer)
        if last is None:
            return card
        if card.toll_road is not None:
            last.remember(card.toll_road)
        elif card.toll_road_status is RoadStatus.NONE:
            last.forget()
        else:
            return dataclasses.replace(card, toll_road=last.last_known())
        return card
