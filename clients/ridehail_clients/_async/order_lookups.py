"""Lookups of single orders that share calls of BatchRetrieveOrders."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1.toll_roads_pb2 import OrderRoad as OrderRoadMessage
from ridehail_clients._async.transport import AsyncTransport
from ridehail_clients.calls.call_time import CallTime
from ridehail_clients.calls.channel import AsyncUnaryMethod
from ridehail_clients.calls.shared_lookup import AsyncSharedLookup
from ridehail_clients.errors import OrderNotFound, ServiceError
from ridehail_clients.models import OrderRoad
from ridehail_kernel.text_rules import is_id


class AsyncOrderLookups:
    """Looks the roads of single orders up in batches.

    A batch belongs to no single caller: it may take as long as one lookup by itself, and carries nothing of the calls
    that wait for it but the orders. `timeout` is that of a whole batch, repeats included, in seconds.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        method: AsyncUnaryMethod[api.BatchRetrieveOrdersRequest, api.BatchRetrieveOrdersResponse],
        *,
        timeout: float,
        attempt_timeout: float,
    ) -> None:
        self._transport = transport
        self._method = method
        self._timeout = timeout
        self._attempt_timeout = attempt_timeout
        self._shared = AsyncSharedLookup(self._load)

    async def road_of(self, order_id: str, time: CallTime) -> OrderRoad:
        """Returns the road of an order that may go in a batch, see `may_share`.

        Raises:
            OrderNotFound: No such order, or no road is known of it.
            InvalidRequest: The server refused the batch; whether for this order is not known.
            ServiceError: The batch failed, or this caller's time ran out.
        """
        timeout = time.left_to_begin()
        try:
            found = await self._shared.get(order_id, timeout=timeout)
        except ServiceError as error:
            # All callers of a batch get the same object, and raising changes it.
            raise copy.copy(error) from error.__cause__
        if found is None:
            raise ServiceError(grpc.StatusCode.INTERNAL, message=f"the response to a batch lacks the order {order_id}")
        if isinstance(found, OrderNotFound):
            raise copy.copy(found)
        return OrderRoad.from_message(found, order_id=order_id)

    async def close(self) -> None:
        """Ends the wait of all callers."""
        await self._shared.close()

    async def _load(self, order_ids: Sequence[str]) -> Mapping[str, OrderRoadMessage | OrderNotFound]:
        request = api.BatchRetrieveOrdersRequest(order_ids=list(order_ids))
        response = await self._transport.call(
            self._method,
            request,
            timeout=self._timeout,
            metadata=(),
            attempt_timeout=self._attempt_timeout,
        )
        missing = {order_id: _order_not_found(order_id) for order_id in response.missing_order_ids}
        return {**missing, **{one.order_id: one for one in response.orders}}


def may_share(order_id: object) -> bool:
    """Returns whether an id may go in a batch: one bad id is enough for the server to refuse them all.

    Where this is stricter than the server, the order is only looked up alone.
    """
    return isinstance(order_id, str) and is_id(order_id)


def _order_not_found(order_id: str) -> OrderNotFound:
    return OrderNotFound(
        grpc.StatusCode.NOT_FOUND, OrderNotFound.REASON, "no such order", metadata={"order_id": order_id}
    )
