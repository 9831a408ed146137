"""Client of the services that keep orders."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import grpc

from ridehail.orderprovider.v1 import order_provider_api_pb2 as api
from ridehail.orderprovider.v1 import order_provider_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncInternalClient
from ridehail_clients._messages import order_provider as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.channel import AsyncChannel
from ridehail_clients.json_values import JsonInput
from ridehail_clients.models import ActiveOrders
from ridehail_clients.retry import RetryPolicy
from ridehail_clients.tickets import TicketSource


class AsyncOrderProviderClient(AsyncInternalClient):
    """What a service that keeps orders tells of them: `ridehail.orderprovider.v1.OrderProviderService`.

    Several services serve this contract, each for its own orders; a client speaks to one of them.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    Args:
        target_or_channel: Where the service is, or a channel to it. A channel that is given stays open on `close`.
        service: Which of the services, as tickets name it ("eats-orders").
        ticket: Where service tickets come from; None: none is sent.
        channel_credentials: For TLS, when the client makes the channel; None: plain text.
        retry: How often and how soon a call that is safe to repeat is repeated.
        attempt_timeout: Seconds for one attempt; None: each method's own, from its contract.
    """

    service = api.DESCRIPTOR.services_by_name["OrderProviderService"]

    def __init__(
        self,
        target_or_channel: str | AsyncChannel,
        *,
        service: str,
        ticket: TicketSource | None = None,
        channel_credentials: grpc.ChannelCredentials | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        attempt_timeout: float | None = None,
    ) -> None:
        # The base asks the ticket for this destination.
        self.service_name = service
        super().__init__(
            target_or_channel,
            ticket=ticket,
            channel_credentials=channel_credentials,
            retry=retry,
            attempt_timeout=attempt_timeout,
        )

    def _connect(self) -> None:
        self._stub = api_grpc.OrderProviderServiceStub(self._channel)

    async def put_order(
        self,
        *,
        orderid: str,
        yandex_uid: str,
        status: str,
        parts: Mapping[str, str] = MappingProxyType({}),
        details: Mapping[str, JsonInput] = MappingProxyType({}),
        finished: bool = False,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> int:
        """Stores an order whole, in place of an older one. For set-up.

        Args:
            orderid: The order.
            yandex_uid: The passenger whose order it is.
            status: Where the order stands, as in `cooking`.
            parts: The version of each part, by part name, at most 20.
            details: What else is told of the order; at most 64 KiB of JSON.
            finished: Whether the order has ended, and is not listed any more.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The order's sequence after the call; every call raises it, a repeat by this client too.

        Raises:
            OrderOwnerMismatch: The order is another passenger's.
            ValueError: A number in the details is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something in the details is no JSON value.
        """
        request = messages.put_order_request(
            orderid=orderid, yandex_uid=yandex_uid, status=status, parts=parts, details=details, finished=finished
        )
        answer = await self._transport.call(self._stub.PutOrder, request, timeout=timeout, metadata=metadata)
        return answer.sequence

    async def list_active_orders(
        self, *, yandex_uid: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> ActiveOrders:
        """Lists a passenger's orders that are under way.

        Args:
            yandex_uid: The passenger.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The orders, the oldest first, at most 100.
        """
        request = api.ListActiveOrdersRequest(yandex_uid=yandex_uid)
        answer = await self._transport.call(self._stub.ListActiveOrders, request, timeout=timeout, metadata=metadata)
        return messages.active_orders(answer)
