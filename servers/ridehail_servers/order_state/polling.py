"""Polls and starts of apps: reads what is stored, queries providers, stores what they list, decides what to return."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.errors import DependencyUnavailable

from .config import OrderStateConfig
from .errors import OrderGivenTwice, ServiceNotFound
from .order_parts import is_news
from .orders import PROVIDERS, ActiveOrder, ActiveOrders, KnownOrder, RecordedOrders, is_valid_list
from .orders_state import OrdersState, decide_orders_state
from .poll_tokens import PollTokens
from .service_orders import ProviderResult, Skipped, Throttled, Unavailable

_SKIPPED = Skipped()


class Records(Protocol):
    """Keeps what providers list and report of riders' orders."""

    async def of_rider(self, yandex_uid: str) -> RecordedOrders:
        """Reads all that is stored of a rider's orders, as of some time after the call began."""

    async def record_listed(self, service: str, yandex_uid: str, orders: Sequence[ActiveOrder]) -> None:
        """Stores what a provider listed, as far as it is newer. Never raises for want of a database."""


class Providers(Protocol):
    """Queries the providers of orders."""

    async def active_orders(self, service: str, yandex_uid: str) -> ActiveOrders | None:
        """Returns a provider's response about a rider, or None without a usable one in time."""


class Polling:
    """Decides what apps receive when they poll or start."""

    def __init__(
        self,
        records: Records,
        providers: Providers,
        poll_tokens: PollTokens,
        *,
        config: Callable[[], OrderStateConfig],
        clock: Clock,
    ) -> None:
        self._records = records
        self._providers = providers
        self._poll_tokens = poll_tokens
        self._config = config
        self._clock = clock

    async def poll(self, yandex_uid: str, known: Sequence[KnownOrder], poll_tokens: Mapping[str, str]) -> OrdersState:
        """Returns what an app receives that polls.

        Args:
            yandex_uid: The rider.
            known: The orders that the app knows.
            poll_tokens: Service -> token, as the app sent them. Not trusted.

        Raises:
            OrderGivenTwice: The app knows an order twice.
        """
        config, now = self._config(), self._clock()
        results: dict[str, ProviderResult] = dict.fromkeys(PROVIDERS, _SKIPPED)
        to_query: list[str] = []
        for service in PROVIDERS if poll_tokens else ():
            if service not in poll_tokens:
                continue
            token = poll_tokens[service]
            queried_at = self._poll_tokens.queried_at(token, yandex_uid, service, now=now, ttl=config.poll_token_ttl)
            if queried_at is not None and now - queried_at < config.retry_interval:
                results[service] = Throttled(token)
            else:
                to_query.append(service)
        return await self._state(yandex_uid, known, results, to_query, config=config, now=now)

    async def start(
        self,
        yandex_uid: str,
        known: Sequence[KnownOrder],
        *,
        supported_services: Collection[str],
        upstreams: Mapping[str, ActiveOrders | None],
    ) -> OrdersState:
        """Returns what an app receives that starts.

        Args:
            yandex_uid: The rider.
            known: The orders that the app knows.
            supported_services: The services that the app can show; other names are ignored.
            upstreams: Service -> what the caller got from its provider already, or None if that failed.

        Raises:
            OrderGivenTwice: The app knows an order twice.
        """
        config, now = self._config(), self._clock()
        services = [service for service in PROVIDERS if service in supported_services]
        results = {service: _result(upstreams.get(service)) for service in services}
        to_query = [service for service in services if service not in upstreams]
        state = await self._state(yandex_uid, known, results, to_query, config=config, now=now)
        return state._replace(polling_policy=config.policy.parts_of(services))

    async def active_orders(self, service: str, yandex_uid: str) -> ActiveOrders:
        """Queries one provider about a rider.

        Raises:
            ServiceNotFound: There is no such service.
            DependencyUnavailable: There is no usable response in time.
        """
        if service not in PROVIDERS:
            raise ServiceNotFound(service)
        orders = await self._providers.active_orders(service, yandex_uid)
        if orders is None:
            raise DependencyUnavailable(PROVIDERS[service])
        return orders

    async def _state(
        self,
        yandex_uid: str,
        known: Sequence[KnownOrder],
        results: dict[str, ProviderResult],
        to_query: Sequence[str],
        *,
        config: OrderStateConfig,
        now: datetime,
    ) -> OrdersState:
        """Returns what an app receives.

        Args:
            yandex_uid: The rider.
            known: The orders that the app knows.
            results: Service -> result of querying its provider; changed in place for those of `to_query`.
            to_query: The services whose providers are to be queried.
            config: The present configuration.
            now: The present time; aware.

        Raises:
            OrderGivenTwice: The app knows an order twice.
        """
        if len({(order.service, order.orderid) for order in known}) < len(known):
            raise OrderGivenTwice
        # Before the queries: so a provider that is up to date never contradicts what is read here.
        recorded = await self._records.of_rider(yandex_uid)
        if to_query:
            queries = (self._providers.active_orders(service, yandex_uid) for service in to_query)
            responses = await asyncio.gather(*queries)
            results.update(zip(to_query, (one or Unavailable() for one in responses), strict=True))
        if lists := {service: one.orders for service, one in results.items() if isinstance(one, ActiveOrders)}:
            # Lists may be long: other calls run before and after they are walked through.
            await asyncio.sleep(0)
            await self._record_news(yandex_uid, lists, recorded)
            await asyncio.sleep(0)
        return await decide_orders_state(
            known,
            recorded,
            results,
            policy=config.policy,
            limits=config.max_active_orders,
            issue_token=lambda kind, service: self._poll_tokens.issue(kind, yandex_uid, service, now),
            schedule=config.schedule(yandex_uid, now),
        )

    async def _record_news(
        self, yandex_uid: str, lists: Mapping[str, Sequence[ActiveOrder]], recorded: RecordedOrders
    ) -> None:
        news: dict[str, list[ActiveOrder]] = {}
        for service, orders in lists.items():
            stored = recorded.get(service, {})
            news[service] = [order for order in orders if is_news(order, stored.get(order.orderid))]
        await asyncio.gather(
            *(self._records.record_listed(service, yandex_uid, orders) for service, orders in news.items() if orders)
        )


def _result(response: ActiveOrders | None) -> ProviderResult:
    return response if response is not None and is_valid_list(response.orders) else Unavailable()
