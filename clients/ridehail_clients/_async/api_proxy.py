"""Clients of the API proxy."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncPassengerClient
from ridehail_clients._messages import api_proxy as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.models import RouteStats, ZoneInfo


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
