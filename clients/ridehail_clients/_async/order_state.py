"""Clients of order state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncInternalClient, AsyncPassengerClient
from ridehail_clients._messages import order_provider as provider_messages
from ridehail_clients._messages import order_state as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.models import ActiveOrders
from ridehail_clients.orders_state import KnownOrder, OrdersState, OrdersStateAndPolicy, Upstream


class AsyncOrderStateClient(AsyncInternalClient):
    """What other services ask of riders' orders and tell of them: `ridehail.orderstate.v1.OrderStateService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "order-state"
    service = api.DESCRIPTOR.services_by_name["OrderStateService"]

    def _connect(self) -> None:
        self._stub = api_grpc.OrderStateServiceStub(self._channel)

    async def get_orders_state(
        self,
        *,
        yandex_uid: str,
        supported_services: Sequence[str],
        known_orders: Sequence[KnownOrder] = (),
        upstreams: Mapping[str, Upstream] = MappingProxyType({}),
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> OrdersStateAndPolicy:
        """Tells what an app that starts needs: its rider's orders, the parts to fetch, and how to poll.

        Args:
            yandex_uid: The rider.
            supported_services: The services that the app can show, at most 20; others are left out of the answer.
            known_orders: The orders that the app knows, at most 50, each once.
            upstreams: What the caller has already asked: service -> how it went. The other services are asked now.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The orders and how to poll them.

        Raises:
            InvalidRequest: An order is there twice.
            ValueError: A number in an order's details is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something in an order's details is no JSON value.
        """
        request = messages.get_orders_state_request(
            yandex_uid=yandex_uid,
            supported_services=supported_services,
            known_orders=known_orders,
            upstreams=upstreams,
        )
        answer = await self._transport.call(self._stub.GetOrdersState, request, timeout=timeout, metadata=metadata)
        return messages.orders_state_and_policy(answer)

    async def get_service_orders_state(
        self, *, service: str, yandex_uid: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> ActiveOrders:
        """Asks one service for a rider's orders under way.

        Args:
            service: The service, as in `eats`.
            yandex_uid: The rider.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The orders, the oldest first, at most 100.

        Raises:
            ServiceNotFound: No such service.
            NeighbourUnavailable: The service does not answer.
        """
        request = api.GetServiceOrdersStateRequest(service=service, yandex_uid=yandex_uid)
        answer = await self._transport.call(
            self._stub.GetServiceOrdersState, request, timeout=timeout, metadata=metadata
        )
        return provider_messages.active_orders(answer)

    async def report_order_parts(
        self,
        *,
        service: str,
        orderid: str,
        yandex_uid: str,
        sequence: int,
        parts: Mapping[str, str] = MappingProxyType({}),
        finished: bool | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> bool:
        """Reports that parts of an order have changed, or that the order has ended.

        Reports may come late, twice and in any order: of what they say of a part the one with the highest sequence
        counts. The reporting service repeats a report until it is answered.

        Args:
            service: The service that keeps the order, as in `eats`.
            orderid: The order.
            yandex_uid: The rider whose order it is.
            sequence: The number of the order's change that this reports, 1 or more.
            parts: The version of each part that has changed, at most 20; none: the order alone is made known.
            finished: True: the order has ended; False: it goes on (again); None: nothing is said of it.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            Whether the report told anything newer than what was known.

        Raises:
            OrderOwnerMismatch: The order was reported as another rider's.
        """
        request = messages.report_order_parts_request(
            service=service,
            orderid=orderid,
            yandex_uid=yandex_uid,
            sequence=sequence,
            parts=parts,
            finished=finished,
        )
        answer = await self._transport.call(self._stub.ReportOrderParts, request, timeout=timeout, metadata=metadata)
        return answer.changed


class AsyncPassengerOrderStateClient(AsyncPassengerClient):
    """What a rider's app polls: `ridehail.orderstate.v1.PassengerOrderStateService`, by the gateway.

    `AsyncOrderPoller` polls again and again and keeps what comes of it; this class makes single calls.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "order-state"
    service = api.DESCRIPTOR.services_by_name["PassengerOrderStateService"]

    def _connect(self) -> None:
        self._stub = api_grpc.PassengerOrderStateServiceStub(self._channel)

    async def poll_orders_state(
        self,
        *,
        known_orders: Sequence[KnownOrder] = (),
        tags: Mapping[str, str] = MappingProxyType({}),
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> OrdersState:
        """Tells which parts of which orders the app should fetch again.

        Args:
            known_orders: The orders that the app knows, at most 50, each once.
            tags: Those of the answer before, as they came. The services in them are asked for the rider's orders.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The orders.

        Raises:
            InvalidRequest: An order is there twice.
            ValueError: A number in an order's details is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something in an order's details is no JSON value.
        """
        request = messages.poll_orders_state_request(known_orders=known_orders, tags=tags)
        answer = await self._transport.call(self._stub.PollOrdersState, request, timeout=timeout, metadata=metadata)
        return messages.orders_state(answer)
