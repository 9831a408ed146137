"""A rider's orders as they can be told without order_state: those that the app knows, and where to ask again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import cast

from ridehail_clients import (
    AllowedChanges,
    JsonObject,
    KnownOrder,
    OrdersStateAndPolicy,
    OrderState,
    PollingPolicy,
    UpdateStatus,
)

from .polling_rules import PolledPart, PollingRules

# Nothing that order_state signed. What it cannot verify means to it: ask the service now, which is what is wanted.
ASK_NOW = "ask-now"
_TOO_MANY = "too_many_orders"


def local_state(
    known_orders: Sequence[KnownOrder], *, supported_services: Sequence[str], rules: PollingRules
) -> OrdersStateAndPolicy:
    """Returns the known orders, all `stale`, with a tag for each supported service.

    Args:
        known_orders: The orders that the app knows, each once.
        supported_services: The services that the app can show, each once. Names that `rules` does not have are passed
            over.
        rules: Which services and parts there are.
    """
    services = [service for service in supported_services if service in rules.services]
    policy = sorted((part for part in rules.polling_policy if part.service in services), key=lambda part: part.priority)
    counts = Counter(order.service for order in known_orders)
    return OrdersStateAndPolicy(
        orders=tuple(_stale(order, policy, asked=order.force and order.service in services) for order in known_orders),
        allowed_changes=tuple(
            _allowed_changes(service, counts[service], rules.max_active_orders.get(service)) for service in services
        ),
        tags=dict.fromkeys(services, ASK_NOW),
        polling_policy=tuple(_policy(part) for part in policy),
    )


def _stale(order: KnownOrder, policy: Sequence[PolledPart], *, asked: bool) -> OrderState:
    """Returns an order as the app knows it; `asked` tells whether the app is to fetch all of it."""
    named = [part.part_name for part in policy if part.service == order.service]
    return OrderState(
        orderid=order.orderid,
        service=order.service,
        status=order.status,
        tags=dict(order.tags),
        need_request=tuple(dict.fromkeys([*named, *sorted(order.tags)])) if asked else (),
        update_status=UpdateStatus.STALE,
        details=cast("JsonObject | None", order.details),  # what was read from a message is of these types
    )


def _allowed_changes(service: str, orders: int, most: int | None) -> AllowedChanges:
    may = most is None or orders < most
    return AllowedChanges(service, can_make_more_orders=may, no_more_orders_reason=None if may else _TOO_MANY)


def _policy(part: PolledPart) -> PollingPolicy:
    return PollingPolicy(
        service=part.service,
        part_name=part.part_name,
        url=part.url,
        fields=part.fields,
        polling_type=part.polling_type,
        part_type=part.part_type,
        priority=part.priority,
        required=part.required,
    )
