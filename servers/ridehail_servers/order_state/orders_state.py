"""Decides what an app receives about all of its rider's orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .orders import ActiveOrders, KnownOrder, OrderKey, OrderState, RecordedOrder, UpdateStatus
from .poll_tokens import TokenKind
from .polling_policy import PartPolicy, PollingPolicy
from .service_orders import ProviderResult, ServiceOrders, Snapshot, service_orders

TOO_MANY_ORDERS = "too_many_orders"


@dataclass(frozen=True, slots=True)
class AllowedChanges:
    """Whether the rider may make one more order of a service, and if not, why not."""

    service: str
    can_make_more_orders: bool
    no_more_orders_reason: str | None = None


@dataclass(frozen=True, slots=True)
class OrdersState:
    """What an app receives.

    Attributes:
        orders: Those that the app knew, in its order, then the others by service as the provider lists them.
        allowed_changes: One entry for each service that was to be queried or skipped.
        poll_tokens: Service -> what to poll with, for those whose orders may be out of date.
        polling_policy: By priority.
    """

    orders: Sequence[OrderState]
    allowed_changes: Sequence[AllowedChanges]
    poll_tokens: Mapping[str, str]
    polling_policy: Sequence[PartPolicy] = ()


async def decide_orders_state(
    known: Mapping[OrderKey, KnownOrder],
    recorded: Iterable[RecordedOrder],
    results: Mapping[str, ProviderResult],
    *,
    policy: PollingPolicy,
    limits: Mapping[str, int],
    issue_token: Callable[[TokenKind, str], str],
) -> OrdersState:
    """Decides what an app receives. Other calls run after each service, whose orders may be many.

    Args:
        known: What the app knows, in its order. Orders of services that are not in `results` are returned as they came.
        recorded: What is stored of the rider's orders.
        results: Service -> result of querying its provider, in the order of the response.
        policy: Names the parts to fetch first.
        limits: Service -> how many orders a rider may have.
        issue_token: Makes a new poll token for a service.
    """
    stored = list(recorded)
    by_service: dict[str, ServiceOrders] = {}
    for service, result in results.items():
        snapshot = Snapshot(
            service=service,
            known={key: order for key, order in known.items() if key.service == service},
            recorded={order.key: order for order in stored if order.key.service == service},
            policy_parts=policy.part_names(service),
        )
        by_service[service] = service_orders(snapshot, result)
        await asyncio.sleep(0)
    return OrdersState(
        orders=[*_of_known(known, by_service), *(state for own in by_service.values() for state in own.added)],
        allowed_changes=[
            _allowed_changes(service, result, by_service[service].count, limits.get(service))
            for service, result in results.items()
        ],
        poll_tokens={
            service: own.next_token if isinstance(own.next_token, str) else issue_token(own.next_token, service)
            for service, own in by_service.items()
            if own.next_token is not None
        },
    )


def _of_known(known: Mapping[OrderKey, KnownOrder], by_service: Mapping[str, ServiceOrders]) -> Iterable[OrderState]:
    for key, order in known.items():
        own = by_service.get(key.service)
        if own is None:
            yield OrderState(key, order.status, order.tags, (), UpdateStatus.STALE, order.details)
        elif key in own.known:
            yield own.known[key]


def _allowed_changes(service: str, result: ProviderResult, orders: int, limit: int | None) -> AllowedChanges:
    """Returns the provider's opinion, and where it has none, what the limit says."""
    if isinstance(result, ActiveOrders) and result.can_make_more_orders is not None:
        reason = None if result.can_make_more_orders else result.no_more_orders_reason
        return AllowedChanges(service, result.can_make_more_orders, reason)
    if limit is not None and orders >= limit:
        return AllowedChanges(service, can_make_more_orders=False, no_more_orders_reason=TOO_MANY_ORDERS)
    return AllowedChanges(service, can_make_more_orders=True)
