"""Decides what an app receives about all of its rider's orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .orders import ActiveOrders, KnownOrder, OrderState, RecordedOrders, UpdateStatus
from .poll_tokens import TokenKind
from .polling_policy import PartPolicy, PollingPolicy
from .polling_schedule import PollingSchedule
from .service_orders import ProviderResult, ServiceOrders, Snapshot, service_orders

TOO_MANY_ORDERS = "too_many_orders"

# So many orders of one service take long enough to let other calls run afterwards.
_MANY_ORDERS = 30


class AllowedChanges(NamedTuple):
    """Whether the rider may make one more order of a service, and if not, why not."""

    service: str
    can_make_more_orders: bool
    no_more_orders_reason: str | None = None


class OrdersState(NamedTuple):
    """What an app receives.

    Attributes:
        orders: Those that the app knew, in its order, then the others by service as the provider lists them.
        allowed_changes: One entry for each service that was to be queried or skipped.
        poll_tokens: Service -> what to poll with, for those whose orders may be out of date.
        schedule: When the app polls next, or None if it paces itself.
        polling_policy: By priority.
    """

    orders: Sequence[OrderState]
    allowed_changes: Sequence[AllowedChanges]
    poll_tokens: Mapping[str, str]
    schedule: PollingSchedule | None = None
    polling_policy: Sequence[PartPolicy] = ()


async def decide_orders_state(
    known: Sequence[KnownOrder],
    recorded: RecordedOrders,
    results: Mapping[str, ProviderResult],
    *,
    policy: PollingPolicy,
    limits: Mapping[str, int],
    issue_token: Callable[[TokenKind, str], str],
    schedule: PollingSchedule | None = None,
) -> OrdersState:
    """Decides what an app receives. Other calls run after each service that has many orders.

    Args:
        known: What the app knows, each order once. Orders of services that are not in `results` are returned as they
            came.
        recorded: What is stored of the rider's orders.
        results: Service -> result of querying its provider, in the order of the response.
        policy: Names the parts to fetch first.
        limits: Service -> how many orders a rider may have.
        issue_token: Makes a new poll token for a service.
        schedule: When the app polls next, or None if it paces itself.
    """
    known_by_service: dict[str, dict[str, KnownOrder]] = {service: {} for service in results}
    for order in known:
        if order.service in known_by_service:
            known_by_service[order.service][order.orderid] = order
    by_service: dict[str, ServiceOrders] = {}
    for service, result in results.items():
        snapshot = Snapshot(service, known_by_service[service], recorded.get(service, {}), policy.part_names(service))
        by_service[service] = own = service_orders(snapshot, result)
        if len(own.known) + len(own.added) >= _MANY_ORDERS:
            await asyncio.sleep(0)
    orders: list[OrderState] = []
    for order in known:
        if order.service not in by_service:
            orders.append(_unchanged(order))
        elif (state := by_service[order.service].known.get(order.orderid)) is not None:
            orders.append(state)
    for own in by_service.values():
        orders += own.added
    return OrdersState(
        orders=orders,
        allowed_changes=[
            _allowed_changes(service, result, by_service[service].total, limits.get(service))
            for service, result in results.items()
        ],
        poll_tokens={
            service: own.next_token if isinstance(own.next_token, str) else issue_token(own.next_token, service)
            for service, own in by_service.items()
            if own.next_token is not None
        },
        schedule=schedule,
    )


def _unchanged(order: KnownOrder) -> OrderState:
    return OrderState(order.service, order.orderid, order.status, order.tags, (), UpdateStatus.STALE, order.details)


def _allowed_changes(service: str, result: ProviderResult, orders: int, limit: int | None) -> AllowedChanges:
    """Returns the provider's opinion, and where it has none, what the limit says."""
    if isinstance(result, ActiveOrders) and result.can_make_more_orders is not None:
        reason = None if result.can_make_more_orders else result.no_more_orders_reason
        return AllowedChanges(service, result.can_make_more_orders, reason)
    if limit is not None and orders >= limit:
        return AllowedChanges(service, can_make_more_orders=False, no_more_orders_reason=TOO_MANY_ORDERS)
    return AllowedChanges(service, can_make_more_orders=True)
