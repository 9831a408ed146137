"""Calls to the services that a ride's card needs; what they do not return in time is left out and counted.

Only the order itself is essential.
"""

from __future__ import annotations

from collections.abc import Callable

import grpc

from ridehail.inapp.v1 import inapp_api_pb2, inapp_api_pb2_grpc
from ridehail.routesharing.v1.route_sharing_pb2 import ShareRideWithFamily
from ridehail_clients import (
    AsyncInappCommunicationsClient,
    AsyncOrderCoreClient,
    AsyncRouteSharingClient,
    AsyncTollRoadsClient,
    OrderInfo,
    OrderRoad,
    RoadStatus,
    ServiceError,
    TicketSource,
)
from ridehail_clients import errors as client_errors
from ridehail_kernel.availability import is_unavailable
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import CallFailure, call_dependency, call_failure, required_dependency
from ridehail_servers.chassis.errors import OrderNotFound
from ridehail_servers.chassis.logs import get_logger

from .config import CardTimeouts
from .metrics import LEFT_OUT, TOGGLES
from .promos import FetchedPromos, PromoRequest

# The configured time is that of all attempts together: one that hangs is not repeated, one that fails at once is.
_ATTEMPT_S = 60.0

Timeouts = Callable[[], CardTimeouts]
"""Returns the present timeouts."""

logger = get_logger(__name__)


class OrderCore:
    """Calls order_core."""

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, timeouts: Timeouts) -> None:
        # Many cards are put together at once, and a batch of orders costs about as much as one.
        self._client = AsyncOrderCoreClient(channel, ticket=ticket, coalesce=True)
        self._timeouts = timeouts

    async def get_order(self, order_id: str) -> OrderInfo:
        """Returns what there is to show of an order.

        Raises:
            OrderNotFound: order_core has no such order.
            DependencyUnavailable: The call failed in any other way.
        """
        timeout = _budget(self._timeouts().order_core_timeout_ms)
        with required_dependency("order-core", {client_errors.OrderNotFound: lambda: OrderNotFound(order_id)}):
            return await self._client.get_order_info(order_id=order_id, timeout=timeout)

    async def close(self) -> None:
        """Ends the lookups under way."""
        await self._client.close()


class TollRoads:
    """Calls toll_roads."""

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, timeouts: Timeouts) -> None:
        self._client = AsyncTollRoadsClient(channel, ticket=ticket, coalesce=True)
        self._timeouts = timeouts

    async def get_road(self, order_id: str) -> OrderRoad | RoadStatus:
        """Returns the road of an order; `NONE` if there is none, `UNKNOWN` if the call fails."""
        timeout = _budget(self._timeouts().toll_roads_timeout_ms)
        road = await call_dependency(self._client.retrieve_order(order_id=order_id, timeout=timeout))
        if not isinstance(road, CallFailure):
            return road
        if road.reason == client_errors.OrderNotFound.REASON:
            return RoadStatus.NONE
        _report("toll-roads", road)
        return RoadStatus.UNKNOWN

    async def close(self) -> None:
        """Ends the lookups under way."""
        await self._client.close()


class RouteSharing:
    """Calls route_sharing."""

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, timeouts: Timeouts) -> None:
        self._client = AsyncRouteSharingClient(channel, ticket=ticket, attempt_timeout=_ATTEMPT_S)
        self._timeouts = timeouts

    async def share(self, order: OrderInfo, *, share_with_family: bool) -> bool:
        """Shares a rider's ride with the family, or stops to; returns whether the outcome is known."""
        try:
            await self._client.share_with_family(
                order_id=order.order_id,
                sharing_key=order.sharing_key,
                share_ride_with_family=share_with_family,
                yandex_uid=order.yandex_uid,
                timeout=_budget(self._timeouts().route_sharing_timeout_ms),
            )
        except Exception as error:  # whatever garbage makes the client library do is no reason to fail the rider
            is_known = isinstance(error, ServiceError) and not is_unavailable(error)
            TOGGLES.labels("refused" if is_known else "unknown").inc()
            _report("route-sharing", call_failure(error))
            return is_known
        TOGGLES.labels("done").inc()
        return True


class Inapp:
    """Calls inapp_communications."""

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, timeouts: Timeouts) -> None:
        self._client = AsyncInappCommunicationsClient(channel, ticket=ticket, attempt_timeout=_ATTEMPT_S)
        self._methods = inapp_api_pb2_grpc.InappCommunicationsServiceStub(channel)
        self._timeouts = timeouts

    async def fetch(self, request: PromoRequest, *, share_with_family: bool | None) -> FetchedPromos | None:
        """Returns the banners, or None if the call fails.

        Args:
            request: What the banners depend on.
            share_with_family: To what the rider has just moved the toggle, or None if not moved.
        """
        toggle = None if share_with_family is None else ShareRideWithFamily(value=share_with_family)
        message = inapp_api_pb2.PromosOnTheWayRequest(
            order_id=request.order_id,
            sharing_key=request.sharing_key,
            share_ride_with_family=toggle,
            family_role=request.family_role,
            locale=request.locale,
        )
        timeout = _budget(self._timeouts().inapp_timeout_ms)
        response = await call_dependency(self._client.call(self._methods.PromosOnTheWay, message, timeout=timeout))
        if isinstance(response, CallFailure):
            _report("inapp-communications", response)
            return None
        return FetchedPromos(response.SerializeToString(deterministic=True), response.banner_set)


def _report(neighbour: str, failure: CallFailure) -> None:
    LEFT_OUT.labels(neighbour, failure.reason).inc()
    logger.warning("left out of a card", neighbour=neighbour, reason=failure.reason, exc_info=failure.error)


def _budget(timeout_ms: int) -> float:
    return share_of_remaining(at_most=timeout_ms / 1000)
