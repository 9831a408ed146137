"""Answers apps that poll or start: reads what is stored, asks services, stores what they tell, decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.errors import DependencyUnavailable

from .answer import Answer, decide_answer
from .config import OrderStateConfig
from .errors import OrderGivenTwice, ServiceNotFound
from .keepers import KEEPERS
from .listed_orders import is_usable
from .orders import ActiveOrder, KnownOrder, OrderKey, ProviderAnswer, RecordedOrder
from .part_versions import is_news
from .polling_policy import PartPolicy
from .service_orders import Heard, NewTag, NextTag, NoAnswer, NotAsked, TooEarly
from .tag import Tags


class Records(Protocol):
    """Keeps what services told of riders' orders."""

    async def of_rider(self, yandex_uid: str) -> Sequence[RecordedOrder]:
        """Returns all that is stored of a rider's orders, as of some moment after the call began."""

    async def record(self, service: str, yandex_uid: str, orders: Sequence[ActiveOrder]) -> None:
        """Stores what a service listed, as far as it is newer. Never raises for want of a database."""


class Providers(Protocol):
    """Asks the services that keep orders."""

    async def ask(self, service: str, yandex_uid: str) -> ProviderAnswer | None:
        """Returns what a service answers about a rider; None when it does not answer in time, or nothing usable."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, as the app gets it.

    Attributes:
        answer: Orders and allowed changes.
        tags: Service -> opaque tag.
        polling_policy: By priority.
    """

    answer: Answer
    tags: Mapping[str, str]
    polling_policy: Sequence[PartPolicy] = ()


class Polling:
    """Answers apps."""

    def __init__(
        self,
        records: Records,
        providers: Providers,
        tags: Tags,
        *,
        config: Callable[[], OrderStateConfig],
        clock: Clock,
    ) -> None:
        """Takes what it needs.

        Args:
            records: Keeps what services told.
            providers: Asks services.
            tags: Makes and reads opaque tags.
            config: Returns what is configured now.
            clock: Tells the time.
        """
        self._records = records
        self._providers = providers
        self._tags = tags
        self._config = config
        self._clock = clock

    async def poll(self, yandex_uid: str, known: Sequence[KnownOrder], tags: Mapping[str, str]) -> Answered:
        """Answers an app that polls.

        Args:
            yandex_uid: The rider.
            known: The orders that the app knows.
            tags: Service -> opaque tag, as the app sent them. Not trusted.

        Raises:
            OrderGivenTwice: The app knows an order twice.
        """
        config, now = self._config(), self._clock()
        heard: dict[str, Heard | None] = {}
        for service in KEEPERS:
            heard[service] = NotAsked()
            if service in tags:
                asked_at = self._tags.asked_at(tags[service], yandex_uid, service, now=now, ttl=config.tag_ttl)
                is_too_early = asked_at is not None and now - asked_at < config.retry_interval
                heard[service] = TooEarly(tags[service]) if is_too_early else None
        return await self._answered(yandex_uid, known, heard, config, now)

    async def start(
        self,
        yandex_uid: str,
        known: Sequence[KnownOrder],
        *,
        supported_services: Collection[str],
        upstreams: Mapping[str, ProviderAnswer | None],
    ) -> Answered:
        """Answers an app that starts.

        Args:
            yandex_uid: The rider.
            known: The orders that the app knows.
            supported_services: The services that the app can show; names that are not those of a service do not matter.
            upstreams: What others asked already: service -> what it answered; None: it did not.

        Raises:
            OrderGivenTwice: The app knows an order twice.
        """
        config, now = self._config(), self._clock()
        services = [service for service in KEEPERS if service in supported_services]
        heard = {service: _heard(upstreams[service]) if service in upstreams else None for service in services}
        answered = await self._answered(yandex_uid, known, heard, config, now)
        return Answered(answered.answer, answered.tags, config.policy.parts_of(services))

    async def listed(self, service: str, yandex_uid: str) -> ProviderAnswer:
        """Returns what a service answers about a rider.

        Args:
            service: The service.
            yandex_uid: The rider.

        Raises:
            ServiceNotFound: No such service.
            DependencyUnavailable: It does not answer.
        """
        if service not in KEEPERS:
            raise ServiceNotFound(service)
        answer = await self._providers.ask(service, yandex_uid)
        if answer is None:
            raise DependencyUnavailable(KEEPERS[service])
        return answer

    async def _answered(
        self,
        yandex_uid: str,
        known: Sequence[KnownOrder],
        heard: Mapping[str, Heard | None],
        config: OrderStateConfig,
        now: datetime,
    ) -> Answered:
        """Answers an app; the services that let hear nothing yet are asked."""
        by_key = _by_key(known)
        # Before services are asked: so a service that is up to date never contradicts what is read here.
        recorded = await self._records.of_rider(yandex_uid)
        asked = await self._asked([service for service, one in heard.items() if one is None], yandex_uid)
        complete = {service: asked[service] if one is None else one for service, one in heard.items()}
        # Each of these steps walks through all orders of the rider: other calls run in between.
        await asyncio.sleep(0)
        await self._record_news(yandex_uid, complete, recorded)
        await asyncio.sleep(0)
        answer = await decide_answer(by_key, recorded, complete, policy=config.policy, limits=config.max_active_orders)
        tags = {service: self._tag(tag, yandex_uid, service, now) for service, tag in answer.next_tags.items()}
        return Answered(answer, tags)

    async def _asked(self, services: Sequence[str], yandex_uid: str) -> dict[str, Heard]:
        answers = await asyncio.gather(*(self._providers.ask(service, yandex_uid) for service in services))
        return dict(zip(services, map(_heard, answers), strict=True))

    async def _record_news(
        self, yandex_uid: str, heard: Mapping[str, Heard], recorded: Iterable[RecordedOrder]
    ) -> None:
        stored = {order.key: order for order in recorded}
        news = {
            service: [order for order in one.orders if is_news(order, stored.get(OrderKey(service, order.orderid)))]
            for service, one in heard.items()
            if isinstance(one, ProviderAnswer)
        }
        await asyncio.gather(
            *(self._records.record(service, yandex_uid, orders) for service, orders in news.items() if orders)
        )

    def _tag(self, tag: NextTag, yandex_uid: str, service: str, now: datetime) -> str:
        if isinstance(tag, str):
            return tag
        make = self._tags.ask_now if tag is NewTag.ASK_NOW else self._tags.just_asked
        return make(yandex_uid, service, now)


def _heard(answer: ProviderAnswer | None) -> Heard:
    return answer if answer is not None and is_usable(answer.orders) else NoAnswer()


def _by_key(known: Iterable[KnownOrder]) -> dict[OrderKey, KnownOrder]:
    orders: dict[OrderKey, KnownOrder] = {}
    for order in known:
        if order.key in orders:
            raise OrderGivenTwice
        orders[order.key] = order
    return orders
