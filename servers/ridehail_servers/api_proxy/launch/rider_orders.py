"""How launch finds a rider's orders: whom it asks, for how long, and what it returns when nobody responds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from ridehail.orderstate.v1.order_state_api_pb2 import GetOrdersStateRequest, GetOrdersStateResponse
from ridehail.orderstate.v1.order_state_pb2 import KnownOrder, Upstream
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import CallFailure

from .config import LaunchConfig, PollingRules
from .dependencies import OrderServices
from .local_state import local_state
from .metrics import WITHOUT_ORDER_STATE


class RiderOrders:
    """Finds riders' orders.

    Args:
        config: Returns the present configuration.
        rules: Returns how orders are polled at present.
        services: Calls the services that know orders.
        fallback: Returns whether a rider, by uid, takes part in the experiment.
    """

    def __init__(
        self,
        config: Callable[[], LaunchConfig],
        *,
        rules: Callable[[], PollingRules],
        services: OrderServices,
        fallback: Callable[[str], bool],
    ) -> None:
        self._config = config
        self._rules = rules
        self._services = services
        self._fallback = fallback

    async def get(
        self, yandex_uid: str, *, supported_services: Collection[str], known_orders: Sequence[KnownOrder]
    ) -> GetOrdersStateResponse | None:
        """Returns a rider's orders and how to poll them, or None if nobody knows them or the app cannot poll.

        Args:
            yandex_uid: The rider.
            supported_services: The services that the app can show; empty: it knows nothing of this kind of polling.
            known_orders: The orders that the app knows, each once.
        """
        supported = list(dict.fromkeys(supported_services))
        if not supported:
            return None
        config, rules = self._config(), self._rules()
        asked = [service for service in supported if service in rules.services] if _is_stage_1(config) else []
        providers_s, order_state_s = _timeouts(config, with_providers=bool(asked))
        upstreams = await self._upstreams(asked, yandex_uid, timeout=providers_s)
        request = GetOrdersStateRequest(
            yandex_uid=yandex_uid, supported_services=supported, known_orders=known_orders, upstreams=upstreams
        )
        state = await self._services.get_orders_state(request, timeout=order_state_s)
        if isinstance(state, CallFailure):
            is_local = self._fallback(yandex_uid)
            WITHOUT_ORDER_STATE.labels("fallback" if is_local else "left_out", state.reason).inc()
            return local_state(known_orders, supported_services=supported, rules=rules) if is_local else None
        if _is_stage_1(config):
            _restore_statuses(state, known_orders)
        return state

    async def _upstreams(self, services: Sequence[str], yandex_uid: str, *, timeout: float) -> dict[str, Upstream]:
        """Asks services, all at once; one that does not exist has no entry."""
        calls = (self._services.list_active_orders(service, yandex_uid, timeout=timeout) for service in services)
        upstreams = zip(services, await asyncio.gather(*calls), strict=True)
        return {service: upstream for service, upstream in upstreams if upstream is not None}


def _is_stage_1(config: LaunchConfig) -> bool:
    return config.orders_state == "stage1"


def _restore_statuses(state: GetOrdersStateResponse, known_orders: Sequence[KnownOrder]) -> None:
    """Gives orders the statuses that the app sent, where it sent one."""
    sent = {(order.service, order.orderid): order.status for order in known_orders if order.status}
    for order in state.orders:
        order.status = sent.get((order.service, order.orderid), order.status)


def _timeouts(config: LaunchConfig, *, with_providers: bool) -> tuple[float, float]:
    """Returns the timeouts of the services that keep orders and of order_state, in seconds.

    Where the call has less time, both are shortened alike.
    """
    providers_s = config.provider_timeout_ms / 1000 if with_providers else 0.0
    order_state_s = config.order_state_timeout_ms / 1000
    whole_s = providers_s + order_state_s
    share = share_of_remaining(at_most=whole_s) / whole_s
    return providers_s * share, order_state_s * share
