"""Clients of the API proxy."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncPassengerClient
from ridehail_clients._messages import api_proxy as messages
from ridehail_clients._messages import launch as launch_messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.models import RouteStats, ZoneInfo
from ridehail_clients.orders_state import KnownOrder, Launch


class AsyncRoutestatsClient(AsyncPassengerClient):
    """Which tariffs a rider may be offered: `ridehail.apiproxy.v1.RoutestatsService`, by the gateway.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "api-proxy"
    service = api.DESCRIPTOR.services_by_name["RoutestatsService"]

    def _connect(self) -> None:
        self._stub = api_grpc.RoutestatsServiceStub(self._channel)

    async def get_route_stats(
        self, *, zone_name: str, tariffs: Sequence[str], timeout: float | None = None, metadata: Metadata = ()
    ) -> RouteStats:
        """Tells which of the tariffs may be shown to the rider in a zone.

        Args:
            zone_name: Where the rider is.
            tariffs: Those that could be offered, at most 100.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The tariffs that may be shown, and the others with the reason.
        """
        request = messages.get_route_stats_request(zone_name=zone_name, tariffs=tariffs)
        answer = await self._transport.call(self._stub.GetRouteStats, request, timeout=timeout, metadata=metadata)
        return messages.route_stats(answer)


class AsyncZoneInfoClient(AsyncPassengerClient):
    """What a zone asks of a rider: `ridehail.apiproxy.v1.ZoneInfoService`, by the gateway.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "api-proxy"
    service = api.DESCRIPTOR.services_by_name["ZoneInfoService"]

    def _connect(self) -> None:
        self._stub = api_grpc.ZoneInfoServiceStub(self._channel)

    async def get_zone_info(self, *, zone_name: str, timeout: float | None = None, metadata: Metadata = ()) -> ZoneInfo:
        """Tells which agreements of the zone the rider has yet to answer.

        Args:
            zone_name: Where the rider is.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The agreements, or that they cannot be told.
        """
        request = api.GetZoneInfoRequest(zone_name=zone_name)
        answer = await self._transport.call(self._stub.GetZoneInfo, request, timeout=timeout, metadata=metadata)
        return messages.zone_info(answer)


class AsyncLaunchClient(AsyncPassengerClient):
    """What an app asks when it starts: `ridehail.apiproxy.v1.LaunchService`, by the gateway.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "api-proxy"
    service = api.DESCRIPTOR.services_by_name["LaunchService"]

    def _connect(self) -> None:
        self._stub = api_grpc.LaunchServiceStub(self._channel)

    async def launch(
        self,
        *,
        supported_services: Sequence[str] = (),
        known_orders: Sequence[KnownOrder] = (),
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> Launch:
        """Tells which orders the rider has and how to poll them, and which agreements the rider has accepted.

        Args:
            supported_services: The services whose orders the app can poll, at most 20; empty: the app knows nothing of
                this kind of polling, and is told of no orders.
            known_orders: The orders that the app knows, at most 50, each once. Those that are a `LaunchKnownOrder` come
                back with their `other` members.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The orders and the agreements.

        Raises:
            InvalidRequest: An order breaks a rule of the contract, or is there twice.
            ValueError: A further member of an order has the name of one that the contract knows, or a number in an
                order is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something in an order is no JSON value.
        """
        request = launch_messages.launch_request(supported_services=supported_services, known_orders=known_orders)
        answer = await self._transport.call(self._stub.Launch, request, timeout=timeout, metadata=metadata)
        return launch_messages.launch(answer)
