"""Clients of the card of a ride under way."""

from __future__ import annotations

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncPassengerClient
from ridehail_clients._messages import taxi_on_the_way as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.card_models import RideCard, UserActions


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
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> RideCard:
        """Tells what the card of the rider's order shows, after having done what the rider did in it.

        Args:
            order_id: The order.
            user_actions: What the rider has done in the card since the call before; None: nothing.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The card. What could not be told in time is left out; an action that could not be carried out shows in the
            banner's `is_selected`.

        Raises:
            OrderNotFound: No such order, or another passenger's.
            NeighbourUnavailable: order_core does not answer.
        """
        request = messages.taxi_on_the_way_request(order_id=order_id, user_actions=user_actions)
        answer = await self._transport.call(self._stub.TaxiOnTheWay, request, timeout=timeout, metadata=metadata)
        return messages.ride_card(answer)
