"""Clients of toll roads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncInternalClient, AsyncPassengerClient
from ridehail_clients._messages import toll_roads as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.models import OrderRoad, OrderRoads


class AsyncTollRoadsClient(AsyncInternalClient):
    """What other services ask and tell about toll roads: `ridehail.tollroads.v1.TollRoadsService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "toll-roads"
    service = api.DESCRIPTOR.services_by_name["TollRoadsService"]

    def _connect(self) -> None:
        self._stub = api_grpc.TollRoadsServiceStub(self._channel)

    async def save_offer(self, *, offer_id: str, timeout: float | None = None, metadata: Metadata = ()) -> None:
        """Remembers an offer as built by a toll road. A known offer keeps the time at which it was first saved.

        Args:
            offer_id: The offer.
            timeout: Seconds for the whole call.
            metadata: To send along.
        """
        request = api.SaveOfferRequest(offer_id=offer_id)
        await self._transport.call(self._stub.SaveOffer, request, timeout=timeout, metadata=metadata)

    async def retrieve_order(
        self, *, order_id: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> OrderRoad:
        """Tells by which road an order goes.

        Args:
            order_id: The order.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The road of the order's latest change.

        Raises:
            OrderNotFound: No such order, or no road is known of it.
            NeighbourUnavailable: order_core does not answer (only while roads are looked up by offer).
        """
        request = api.RetrieveOrderRequest(order_id=order_id)
        answer = await self._transport.call(self._stub.RetrieveOrder, request, timeout=timeout, metadata=metadata)
        return messages.order_road(order_id, answer)

    async def batch_retrieve_orders(
        self, *, order_ids: Sequence[str], timeout: float | None = None, metadata: Metadata = ()
    ) -> OrderRoads:
        """Tells by which road each of many orders goes.

        Args:
            order_ids: The orders, 1 to 1000. An id given twice is answered once.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The roads, and the ids of the orders that were not found.

        Raises:
            NeighbourUnavailable: order_core does not answer (only while roads are looked up by offer).
        """
        request = messages.batch_retrieve_orders_request(order_ids)
        answer = await self._transport.call(self._stub.BatchRetrieveOrders, request, timeout=timeout, metadata=metadata)
        return messages.order_roads(answer)

    async def enqueue_order_save(
        self,
        *,
        order_id: str,
        created: datetime,
        offer_id: str | None = None,
        can_switch_road: bool = False,
        user_chose_toll_road: bool = False,
        yandex_uid: str | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> None:
        """Takes an order for saving in the background; returns as soon as the task is safely stored.

        Args:
            order_id: The order.
            created: When the order was created: aware, at most five minutes in the future.
            offer_id: The offer that the order was made from; None: there was none.
            can_switch_road: Whether the rider may switch the road during the ride.
            user_chose_toll_road: Whether the rider chose the toll road when ordering.
            yandex_uid: The only passenger who may switch the road; None: nobody may.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            ValueError: `created` is naive.
        """
        request = messages.enqueue_order_save_request(
            order_id=order_id,
            created=created,
            offer_id=offer_id,
            can_switch_road=can_switch_road,
            user_chose_toll_road=user_chose_toll_road,
            yandex_uid=yandex_uid,
        )
        await self._transport.call(self._stub.EnqueueOrderSave, request, timeout=timeout, metadata=metadata)


class AsyncPassengerTollRoadsClient(AsyncPassengerClient):
    """What the rider's app does about toll roads: `ridehail.tollroads.v1.PassengerTollRoadsService`, by the gateway.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "toll-roads"
    service = api.DESCRIPTOR.services_by_name["PassengerTollRoadsService"]

    def _connect(self) -> None:
        self._stub = api_grpc.PassengerTollRoadsServiceStub(self._channel)

    async def switch_road(
        self,
        *,
        order_id: str,
        has_toll_road: bool,
        created: datetime,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> None:
        """Switches the road of the passenger's order during the ride. The same change made twice is one change.

        Args:
            order_id: The order.
            has_toll_road: True: to the toll road. False: to the free one.
            created: When the rider made the switch: aware. It identifies the change.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            ValueError: `created` is naive.
            MethodNotImplemented: The server's release does not switch roads.
        """
        request = messages.switch_road_request(order_id=order_id, has_toll_road=has_toll_road, created=created)
        await self._transport.call(self._stub.SwitchRoad, request, timeout=timeout, metadata=metadata)
