"""Clients of toll roads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail_clients._async.order_lookups import AsyncOrderLookups, may_share
from ridehail_clients._async.service_client import AsyncInternalClient, AsyncPassengerClient
from ridehail_clients._messages import toll_roads as messages
from ridehail_clients.availability import is_unavailable
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.call_time import CallTime
from ridehail_clients.channel import AsyncChannel
from ridehail_clients.contract import method_contract
from ridehail_clients.errors import InvalidRequest, OrderNotFound, ServiceError
from ridehail_clients.models import OrderRoad, OrderRoads
from ridehail_clients.retry import RetryPolicy
from ridehail_clients.road_fallback import RoadCache, RoadFallback
from ridehail_clients.tickets import TicketSource


class AsyncTollRoadsClient(AsyncInternalClient):
    """What other services ask and tell about toll roads: `ridehail.tollroads.v1.TollRoadsService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    Args:
        target_or_channel: Where the service is, or a channel to it. A channel that is given stays open on `close`.
        ticket: Where service tickets come from; None: none is sent.
        channel_credentials: For TLS, when the client makes the channel; None: plain text.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt; None: each method's own, from its contract.
        coalesce: True: calls of `retrieve_order` that are made at the same time share calls of BatchRetrieveOrders,
            which costs server and client a fraction; for clients that make many. Each keeps its own timeout and may be
            cancelled by itself; a call with `metadata` of its own goes alone. What is shared carries no request id.
    """

    service_name = "toll-roads"
    service = api.DESCRIPTOR.services_by_name["TollRoadsService"]

    def __init__(
        self,
        target_or_channel: str | AsyncChannel,
        *,
        ticket: TicketSource | None = None,
        channel_credentials: grpc.ChannelCredentials | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        attempt_timeout: float | None = None,
        coalesce: bool = False,
    ) -> None:
        super().__init__(
            target_or_channel,
            ticket=ticket,
            channel_credentials=channel_credentials,
            retry=retry,
            attempt_timeout=attempt_timeout,
        )
        # The limits of a single lookup: the server answers about as soon for a hundred orders as for one.
        contract = method_contract(self.service.methods_by_name["RetrieveOrder"])
        own_limit = 0.0 if attempt_timeout is None else attempt_timeout * retry.attempts
        self._lookup_contract = contract
        self._lookups: AsyncOrderLookups | None = None
        if coalesce:
            self._lookups = AsyncOrderLookups(
                self._transport,
                self._stub.BatchRetrieveOrders,
                timeout=max(contract.deadline, own_limit),
                attempt_timeout=contract.attempt_timeout,
            )

    def _connect(self) -> None:
        self._stub = api_grpc.TollRoadsServiceStub(self._channel)

    async def close(self) -> None:
        """Closes the channel, if the client made it. Calls under way are cancelled, also those that share batches."""
        if self._lookups is not None:
            await self._lookups.close()
        await super().close()

    async def save_offer(self, *, offer_id: str, timeout: float | None = None, metadata: Metadata = ()) -> bool:
        """Remembers an offer as built by a toll road. A known offer keeps the time at which it was first saved.

        Whoever builds routes must not depend on this service, so its being unavailable raises nothing: the offer only
        serves to find fraud, which is tolerated meanwhile.

        Args:
            offer_id: The offer.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            True: the offer is saved. False: the service is unavailable (`availability.is_unavailable`), and the offer
            may or may not be saved.

        Raises:
            ServiceError: The service refused the request or the caller; it will refuse a repeat as well.
        """
        request = api.SaveOfferRequest(offer_id=offer_id)
        try:
            await self._transport.call(self._stub.SaveOffer, request, timeout=timeout, metadata=metadata)
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
        """Tells by which road an order goes.

        Args:
            order_id: The order.
            fallback: Where the last known road of each order is kept, by order id: any mutable mapping. Answers are put
                there. When the service is unavailable (`availability.is_unavailable`), the order's last known road is
                taken from there. None: there is no fallback.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The road of the order's latest change; with `stale=True` the last known one, from the fallback.

        Raises:
            OrderNotFound: No such order, or no road is known of it. It leaves the fallback as well.
            NeighbourUnavailable: order_core does not answer (only while roads are looked up by offer), and the fallback
                knows nothing of the order.
            ServiceError: Any other failure; when the service is unavailable, only if the fallback knows nothing of the
                order.
        """
        if fallback is None:
            return await self._retrieve_order(order_id, timeout, metadata)
        last = RoadFallback(fallback, order_id)
        try:
            road = await self._retrieve_order(order_id, timeout, metadata)
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

    async def _retrieve_order(self, order_id: str, timeout: float | None, metadata: Metadata) -> OrderRoad:
        if self._lookups is None or metadata or not may_share(order_id):
            return await self._retrieve_order_alone(order_id, timeout, metadata)
        time = CallTime.begin(self._lookup_contract, timeout=timeout, attempt_timeout=None)
        try:
            return await self._lookups.road_of(order_id, time)
        except InvalidRequest:
            # One of the batch's orders is to blame. Alone, each gets its own answer.
            return await self._retrieve_order_alone(order_id, time.left(), metadata)

    async def _retrieve_order_alone(self, order_id: str, timeout: float | None, metadata: Metadata) -> OrderRoad:
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
        can_switch_road: bool,
        user_chose_toll_road: bool,
        yandex_uid: str | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> None:
        """Takes an order for saving in the background; returns as soon as the task is safely stored.

        Args:
            order_id: The order.
            created: When the order was created: aware, at most five minutes in the future.
            can_switch_road: Whether the rider may switch the road during the ride.
            user_chose_toll_road: Whether the rider chose the toll road when ordering.
            offer_id: The offer that the order was made from; None: there was none.
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

        A switch to the free road, later than all others, of an order that began on the toll road also resets the
        order's fixed price, once. One that arrives late (older than the latest) is recorded and changes nothing else.

        Safe to repeat after any failure, with the same `created`, which the client does a few times by itself; the app
        goes on until the switch succeeds or is refused.

        Args:
            order_id: The order.
            has_toll_road: True: to the toll road. False: to the free one.
            created: When the rider made the switch: aware, at most five minutes in the future. It identifies the
                change.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            OrderNotFound: No such order, another passenger's order, or no road is known of it.
            RoadSwitchNotAllowed: The order's road cannot be switched.
            RoadSwitchConflict: The order has a switch of exactly this `created` to the other road.
            PriceChangesOutOfOrder: The price was last changed at this `created` or later.
            NeighbourUnavailable: order_core does not answer. Nothing is known to be switched: repeat.
            ValueError: `created` is naive.
        """
        request = messages.switch_road_request(order_id=order_id, has_toll_road=has_toll_road, created=created)
        await self._transport.call(self._stub.SwitchRoad, request, timeout=timeout, metadata=metadata)
