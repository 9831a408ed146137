"""The client of toll roads: its generated calls, with fallback and shared lookups."""

from __future__ import annotations

import grpc

from ridehail_clients._async.generated.tollroads import AsyncTollRoadsCalls
from ridehail_clients._async.order_lookups import AsyncOrderLookups, may_share
from ridehail_clients.calls.call_metadata import Metadata
from ridehail_clients.calls.call_time import CallTime
from ridehail_clients.calls.channel import AsyncChannel
from ridehail_clients.calls.retry import RetryPolicy
from ridehail_clients.calls.tickets import TicketSource
from ridehail_clients.errors import InvalidRequest, OrderNotFound, ServiceError
from ridehail_clients.models import OrderRoad
from ridehail_clients.road_fallback import RoadCache, RoadFallback
from ridehail_kernel.availability import is_unavailable
from ridehail_kernel.method_contracts import method_contract


class AsyncTollRoadsClient(AsyncTollRoadsCalls):
    """Calls of other services about toll roads.

    Args:
        target_or_channel: Where the service is, or a channel to it. A channel that is given stays open on `close`.
        ticket: Where service tickets come from, or None to send none.
        channel_credentials: For TLS, if the client opens the channel, or None for plain text.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt, or None for each method's own, from its contract.
        coalesce: Whether calls of `retrieve_order` that are made at the same time share calls of BatchRetrieveOrders,
            which costs server and client a fraction; for clients that make many. Each keeps its own timeout and may be
            cancelled by itself; a call with `metadata` of its own goes alone. Shared calls carry no request id.
    """

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
        # The limits of a single lookup: a hundred orders take the server about as long as one.
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

    async def close(self) -> None:
        """Closes the channel, if the client opened it. Calls under way are cancelled, also those that share batches."""
        if self._lookups is not None:
            await self._lookups.close()
        await super().close()

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
            return await self._retrieve_alone_or_shared(order_id, timeout, metadata)
        last = RoadFallback(fallback, order_id)
        try:
            road = await self._retrieve_alone_or_shared(order_id, timeout, metadata)
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

    async def _retrieve_alone_or_shared(self, order_id: str, timeout: float | None, metadata: Metadata) -> OrderRoad:
        if self._lookups is None or metadata or not may_share(order_id):
            return await self._retrieve_order(order_id=order_id, timeout=timeout, metadata=metadata)
        time = CallTime.begin(self._lookup_contract, timeout=timeout, attempt_timeout=None)
        try:
            return await self._lookups.road_of(order_id, time)
        except InvalidRequest:
            # One of the batch's orders is to blame. Alone, each gets its own response.
            return await self._retrieve_order(order_id=order_id, timeout=time.left(), metadata=metadata)
