"""The wiring of launch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ridehail_servers.chassis.service_definition import ServiceContext

from .config import LaunchConfig, PollingRules
from .dependencies import OrderServices
from .rider_orders import RiderOrders
from .service import LaunchServicer

_FALLBACK = "launch_orders_state_fallback"


def build_launch(
    context: ServiceContext,
    config: Callable[[], LaunchConfig],
    *,
    rules: Callable[[], PollingRules],
    accepted_eulas: Callable[[str], Awaitable[Sequence[str] | None]],
) -> LaunchServicer:
    services = OrderServices(
        order_core=context.channels["order-core"], order_state=context.channels["order-state"], ticket=context.tickets
    )
    rider_orders = RiderOrders(
        config,
        rules=rules,
        services=services,
        fallback=lambda uid: context.experiments.enabled(_FALLBACK, passenger=uid),
    )
    return LaunchServicer(rider_orders, accepted_eulas)
