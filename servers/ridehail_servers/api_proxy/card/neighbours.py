"""The services that a ride's card is made of: what they do not tell in time is left out and counted, never an error.

Only the order itself is essential.
"""

from __future__ import annotations

from collections.abc import Callable

import grpc
from prometheus_client import Counter

from ridehail_clients import (
    AsyncInappCommunicationsClient,
    AsyncOrderCoreClient,
    AsyncRouteSharingClient,
    AsyncTollRoadsClient,
    CardRoad,
    OrderInfo,
    PromosOnTheWay,
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

from .config import CardPatience
from .promos import Question

# The configured time is that of all attempts together: one that hangs is not repeated, one that fails at once is.
_ATTEMPT_S = 60.0

LEFT_OUT = Counter(
    "ridehail_api_proxy_card_left_out",
    "Parts of rides' cards that were left out, by the service that did not tell them and the reason.",
    ("neighbour", "reason"),
)
TOGGLES = Counter(
    "ridehail_api_proxy_card_toggles", "Toggles that riders have moved, by what came of it.", ("outcome",)
)
PROMOS_LOOKED_UP = Counter(
    "ridehail_api_proxy_card_promos_lookups", "Cards whose banners were kept (hit) or not (miss).", ("result",)
)

Patience = Callable[[], CardPatience]
"""Returns how long the services are waited for, as of now."""

logger = get_logger(__name__)


class OrderCore:
    """Asks order_core.

    Args:
        channel: To it.
        ticket: Makes tickets of this service.
        patience: How long it is waited for.
    """

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, patience: Patience) -> None:
        self._client = AsyncOrderCoreClient(channel, ticket=ticket)
        self._patience = patience

    async def info_of(self, order_id: str) -> OrderInfo:
        """Returns what there is to show of an order.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: order_core has no such order.
            DependencyUnavailable: order_core does not answer, or answers an error that is not about this order.
        """
        with required_dependency("order-core", {client_errors.OrderNotFound: lambda: OrderNotFound(order_id)}):
            return await self._client.get_order_info(
                order_id=order_id, timeout=_time_for(self._patience().order_core_timeout_ms)
            )


class TollRoads:
    """Asks toll_roads.

    Args:
        channel: To it.
        ticket: Makes tickets of this service.
        patience: How long it is waited for.
    """

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, patience: Patience) -> None:
        # Many cards are made at once, and a batch of orders costs about as much as one.
        self._client = AsyncTollRoadsClient(channel, ticket=ticket, coalesce=True)
        self._patience = patience

    async def road_of(self, order_id: str) -> CardRoad | RoadStatus:
        """Returns the road of an order; `NONE` when there is none, `UNKNOWN` when it cannot be told in time.

        Args:
            order_id: The order.
        """
        wait_s = _time_for(self._patience().toll_roads_timeout_ms)
        road = await call_dependency(self._client.retrieve_order(order_id=order_id, timeout=wait_s))
        if not isinstance(road, CallFailure):
            return CardRoad(has_toll_road=road.has_toll_road, can_switch_road=road.can_switch_road)
        if road.reason == client_errors.OrderNotFound.REASON:
            return RoadStatus.NONE
        _leave_out("toll-roads", road)
        return RoadStatus.UNKNOWN

    async def close(self) -> None:
        """Ends the lookups under way."""
        await self._client.close()


class RouteSharing:
    """Tells route_sharing.

    Args:
        channel: To it.
        ticket: Makes tickets of this service.
        patience: How long it is waited for.
    """

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, patience: Patience) -> None:
        self._client = AsyncRouteSharingClient(channel, ticket=ticket, attempt_timeout=_ATTEMPT_S)
        self._patience = patience

    async def share_with_family(self, order: OrderInfo, *, share: bool) -> bool:
        """Shares a ride with the rider's family, or stops to; returns whether it is known what has come of it.

        Args:
            order: Of the rider.
            share: Whether to share.
        """
        try:
            await self._client.share_with_family(
                order_id=order.order_id,
                sharing_key=order.sharing_key,
                share_ride_with_family=share,
                yandex_uid=order.yandex_uid,
                timeout=_time_for(self._patience().route_sharing_timeout_ms),
            )
        except ServiceError as error:
            unknown = is_unavailable(error)
            TOGGLES.labels("unknown" if unknown else "refused").inc()
            _leave_out("route-sharing", call_failure(error))
            return not unknown
        except Exception as error:  # whatever garbage makes the client library do is no reason to fail the rider
            TOGGLES.labels("unknown").inc()
            _leave_out("route-sharing", call_failure(error))
            return False
        TOGGLES.labels("done").inc()
        return True

    def pass_over(self, reason: str) -> None:
        """Notes that a toggle was passed over.

        Args:
            reason: Why: a word for the metric.
        """
        TOGGLES.labels(f"passed_over_{reason}").inc()


class Inapp:
    """Asks inapp_communications.

    Args:
        channel: To it.
        ticket: Makes tickets of this service.
        patience: How long it is waited for.
    """

    def __init__(self, channel: grpc.aio.Channel, *, ticket: TicketSource, patience: Patience) -> None:
        self._client = AsyncInappCommunicationsClient(channel, ticket=ticket, attempt_timeout=_ATTEMPT_S)
        self._patience = patience

    async def ask(self, question: Question, *, moved_to: bool | None) -> PromosOnTheWay | None:
        """Returns the banners; None when they cannot be told in time.

        Args:
            question: What is asked.
            moved_to: To what the rider has just moved the toggle; None: not moved.
        """
        promos = await call_dependency(
            self._client.promos_on_the_way(
                order_id=question.order_id,
                sharing_key=question.sharing_key,
                share_ride_with_family=moved_to,
                family_role=question.family_role,
                locale=question.locale,
                timeout=_time_for(self._patience().inapp_timeout_ms),
            )
        )
        if not isinstance(promos, CallFailure):
            return promos
        _leave_out("inapp-communications", promos)
        return None


def count_lookup(kept: bool) -> None:  # noqa: FBT001  # handed over as a function of one argument
    """Counts a card by whether its banners were kept.

    Args:
        kept: Whether they were.
    """
    PROMOS_LOOKED_UP.labels("hit" if kept else "miss").inc()


def _leave_out(neighbour: str, why: CallFailure) -> None:
    LEFT_OUT.labels(neighbour, why.reason).inc()
    logger.warning("left out of a card", neighbour=neighbour, reason=why.reason, exc_info=why.error)


def _time_for(configured_ms: int) -> float:
    return share_of_remaining(at_most=configured_ms / 1000)
