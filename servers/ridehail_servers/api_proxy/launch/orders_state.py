"""How launch learns of a rider's orders: whom it asks, for how long, and what it tells when nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from prometheus_client import Counter

from ridehail_clients import KnownOrder, OrdersStateAndPolicy, Upstream
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.api_proxy.config import LaunchConfig
from ridehail_servers.chassis.dependency_calls import CallFailure

from .local_state import local_state
from .polling_rules import PollingRules

WITHOUT_ORDER_STATE = Counter(
    "ridehail_api_proxy_launches_without_order_state",
    "Launches that order_state did not answer for, by what the rider got (left_out, fallback) and the reason.",
    ("outcome", "reason"),
)


class Asks(Protocol):
    """Asks the services that know of riders' orders."""

    async def orders_of(self, service: str, yandex_uid: str, *, timeout: float) -> Upstream | None:
        """Returns what came of asking one service, within `timeout` seconds; None: there is no such service."""

    async def orders_state(
        self,
        yandex_uid: str,
        *,
        supported_services: Sequence[str],
        known_orders: Sequence[KnownOrder],
        upstreams: Mapping[str, Upstream],
        timeout: float,
    ) -> OrdersStateAndPolicy | CallFailure:
        """Returns what order_state tells within `timeout` seconds, or why it does not."""


@dataclass(frozen=True, slots=True)
class _Time:
    """How long to wait, in seconds: for the services that keep orders, all at once, and then for order_state."""

    providers_s: float
    order_state_s: float


class OrdersStates:
    """Tells riders' orders.

    Args:
        config: Returns the present configuration.
        rules: Returns how orders are polled at present.
        asks: Asks the services that know.
        fallback: Tells whether a rider, by uid, takes part in the experiment.
    """

    def __init__(
        self,
        config: Callable[[], LaunchConfig],
        *,
        rules: Callable[[], PollingRules],
        asks: Asks,
        fallback: Callable[[str], bool],
    ) -> None:
        self._config = config
        self._rules = rules
        self._asks = asks
        self._fallback = fallback

    async def of(
        self, yandex_uid: str, *, supported_services: Collection[str], known_orders: Sequence[KnownOrder]
    ) -> OrdersStateAndPolicy | None:
        """Returns a rider's orders and how to poll them; None when they cannot be told, or the app cannot poll.

        Args:
            yandex_uid: The rider.
            supported_services: The services that the app can show; empty: it knows nothing of this kind of polling.
            known_orders: The orders that the app knows, each once.
        """
        supported = list(dict.fromkeys(supported_services))
        if not supported:
            return None
        config, rules = self._config(), self._rules()
        asked = [one for one in supported if one in rules.services] if config.orders_state == "stage1" else []
        time = _time(config, with_providers=bool(asked))
        answer = await self._asks.orders_state(
            yandex_uid,
            supported_services=supported,
            known_orders=known_orders,
            upstreams=await self._upstreams(asked, yandex_uid, timeout=time.providers_s),
            timeout=time.order_state_s,
        )
        if not isinstance(answer, CallFailure):
            return _with_statuses_of_app(answer, known_orders) if config.orders_state == "stage1" else answer
        is_local = self._fallback(yandex_uid)
        WITHOUT_ORDER_STATE.labels("fallback" if is_local else "left_out", answer.reason).inc()
        return local_state(known_orders, supported_services=supported, rules=rules) if is_local else None

    async def _upstreams(self, services: Sequence[str], yandex_uid: str, *, timeout: float) -> dict[str, Upstream]:
        """Asks services, all at once; one that does not exist has no entry."""
        questions = (self._asks.orders_of(service, yandex_uid, timeout=timeout) for service in services)
        answers = await asyncio.gather(*questions)
        return {service: answer for service, answer in zip(services, answers, strict=True) if answer is not None}


def _with_statuses_of_app(state: OrdersStateAndPolicy, known_orders: Sequence[KnownOrder]) -> OrdersStateAndPolicy:
    """Returns the state with the statuses that the app sent, where it sent one."""
    sent = {(order.service, order.orderid): order.status for order in known_orders if order.status}
    orders = (replace(order, status=sent.get((order.service, order.orderid), order.status)) for order in state.orders)
    return replace(state, orders=tuple(orders))


def _time(config: LaunchConfig, *, with_providers: bool) -> _Time:
    """Returns how long to wait; where the call has less time, both waits are shortened alike."""
    providers_s = config.provider_timeout_ms / 1000 if with_providers else 0.0
    order_state_s = config.order_state_timeout_ms / 1000
    whole_s = providers_s + order_state_s
    share = share_of_remaining(at_most=whole_s) / whole_s
    return _Time(providers_s=providers_s * share, order_state_s=order_state_s * share)
