"""A rider's orders without order_state: those that the app knows, and where to ask again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ridehail.orderstate.v1.order_state_api_pb2 import GetOrdersStateResponse
from ridehail.orderstate.v1.order_state_pb2 import (
    AllowedChanges,
    KnownOrder,
    OrderState,
    PollingPolicy,
    PollingSchedule,
)

from .config import PollingPolicyEntry, PollingRules

# order_state has not signed it. To order_state a poll token that it cannot verify means: ask the service now.
ASK_NOW = "ask-now"
_TOO_MANY = "too_many_orders"


def local_state(
    known_orders: Sequence[KnownOrder], *, supported_services: Sequence[str], rules: PollingRules
) -> GetOrdersStateResponse:
    """Returns the known orders, all `stale`, with a poll token for each supported service.

    Args:
        known_orders: The orders that the app knows, each once.
        supported_services: The services that the app can show, each once. Names that `rules` does not have are skipped.
        rules: Which services and parts there are.
    """
    services = [service for service in supported_services if service in rules.services]
    policy = sorted((part for part in rules.polling_policy if part.service in services), key=lambda part: part.priority)
    counts = Counter(order.service for order in known_orders)
    # Without the next poll: apps draw it, so that those that start while order_state is away do not poll together.
    schedule = None
    if rules.polling_interval_s is not None:
        schedule = PollingSchedule(
            interval_ms=rules.polling_interval_s * 1_000, longest_pause_ms=rules.polling_longest_pause_s * 1_000
        )
    return GetOrdersStateResponse(
        orders=[_stale(order, policy, force=order.force and order.service in services) for order in known_orders],
        allowed_changes=[
            _allowed_changes(service, counts[service], rules.max_active_orders.get(service)) for service in services
        ],
        tags=dict.fromkeys(services, ASK_NOW),
        polling_policy=[PollingPolicy(**part.model_dump()) for part in policy],
        polling_schedule=schedule,
    )


def _stale(order: KnownOrder, policy: Sequence[PollingPolicyEntry], *, force: bool) -> OrderState:
    """Returns an order as the app knows it; `force`: the app is to fetch all of it."""
    named = [part.part_name for part in policy if part.service == order.service]
    return OrderState(
        orderid=order.orderid,
        service=order.service,
        status=order.status,
        tags=order.tags,
        need_request=dict.fromkeys([*named, *sorted(order.tags)]) if force else (),
        update_status="stale",
        details=order.details if order.HasField("details") else None,
    )


def _allowed_changes(service: str, orders: int, max_orders: int | None) -> AllowedChanges:
    may = max_orders is None or orders < max_orders
    return AllowedChanges(service=service, can_make_more_orders=may, no_more_orders_reason=None if may else _TOO_MANY)
