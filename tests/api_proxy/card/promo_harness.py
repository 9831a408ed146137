"""Riders who look at cards and move toggles, each step of theirs when the scheduler lets them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ridehail.inapp.v1.inapp_api_pb2 import PromosOnTheWayResponse
from ridehail.inapp.v1.inapp_pb2 import Promo
from ridehail_servers.api_proxy.card.codec import promo_list
from ridehail_servers.api_proxy.card.promo_cache import GENERATION_BYTES, PromoCache
from ridehail_servers.api_proxy.card.promos import CardPromos, FetchedPromos, PromoRequest
from ridehail_servers.chassis.cache import Cache
from tests.support.scheduler import Scheduler

ORDER = "order"
UNKNOWN_FOR_S = 3000.0
LOCALES = ("en", "he")


@dataclass
class ScheduledCache:
    """A cache each of whose operations waits for its turn."""

    scheduler: Scheduler
    inner: Cache

    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        await self.scheduler.turn()
        return await self.inner.get_many(*keys)

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, only_if_absent: bool = False, insist: bool = False
    ) -> bool:
        await self.scheduler.turn()
        return await self.inner.put(key, value, ttl_s=ttl_s, only_if_absent=only_if_absent, insist=insist)

    async def delete(self, key: str) -> None:
        await self.scheduler.turn()
        await self.inner.delete(key)


@dataclass
class Truth:
    """What is stored of the ride, as route_sharing keeps it: counts up with each change.

    Attributes:
        scheduler: Where steps wait for their turn.
        version: Of the state.
        answered: The latest version whose toggle had been answered.
    """

    scheduler: Scheduler
    version: int = 0
    answered: int = 0

    async def fetch(self, request: PromoRequest, *, share_with_family: bool | None) -> FetchedPromos:
        """Responds as inapp does: reads the state, and some time later the response is there."""
        await self.scheduler.turn()
        promo = Promo(id=request.order_id, title=str(self.version), is_selected=bool(self.version % 2))
        await self.scheduler.turn()
        return FetchedPromos(PromosOnTheWayResponse(promos=[promo]).SerializeToString(), "family")


@dataclass
class Harness:
    """One ride.

    Attributes:
        truth: What is stored.
        promos: Of one host ...
        other_promos: ... and of another one; both share the cache.
        late: Changes whose callers have given up, and that are yet to happen.
    """

    scheduler: Scheduler
    truth: Truth
    promos: CardPromos
    other_promos: CardPromos
    caches: tuple[PromoCache, PromoCache]
    now: list[float]
    seen: list[tuple[int, int]] = field(default_factory=list)
    late: list[Callable[[], None]] = field(default_factory=list)

    async def poll(self, *, locale: str = "en", host: int = 0) -> int:
        """Looks at the card; returns the version that it shows."""
        known = self.truth.answered
        shown = await (self.promos, self.other_promos)[host].get(PromoRequest(ORDER, "key", "user", locale))
        version = shown_version(shown)
        self.seen.append((known, version))
        return version

    async def poller(self, host: int, *, times: int = 2) -> None:
        """An actor that looks, one time after the other."""
        for _ in range(times):
            await self.poll(host=host)

    async def toggler(self, host: int) -> None:
        """An actor that moves the toggle."""
        await self._toggle(host, self._commit_and_answer)

    async def refused_toggler(self, host: int) -> None:
        """An actor whose toggle is refused."""

        async def refused() -> bool:
            await self.scheduler.turn()
            return True

        await self._toggle(host, refused)

    async def given_up_toggler(self, host: int) -> None:
        """An actor whose toggle is carried out after it has been given up."""

        async def given_up() -> bool:
            await self.scheduler.turn()
            self.late.append(self._commit)
            return False

        await self._toggle(host, given_up)

    def carry_out_late(self) -> None:
        """Has one of the changes happen whose callers have given up."""
        if self.late:
            self.late.pop()()

    def check(self) -> None:
        """No card showed less than what had been answered when it was requested."""
        assert all(version >= known for known, version in self.seen), self.seen

    async def _toggle(self, host: int, change: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        request, promos = PromoRequest(ORDER, "key", "user", "en"), (self.promos, self.other_promos)[host]
        shown = await promos.get_after_change(request, share_with_family=True, change=change)
        self.truth.answered = max(self.truth.answered, shown_version(shown))

    async def _commit_and_answer(self) -> bool:
        await self.scheduler.turn()
        self._commit()
        await self.scheduler.turn()
        return True

    def _commit(self) -> None:
        self.truth.version += 1


def shown_version(encoded: bytes | None) -> int:
    """Returns the version that banners show."""
    assert encoded is not None
    (promo,) = PromosOnTheWayResponse.FromString(encoded).promos
    return int(promo.title)


def harness_on(cache: Cache) -> Harness:
    """Returns a ride whose cards two hosts make with this cache."""
    scheduler = Scheduler()
    truth, now = Truth(scheduler), [0.0]
    caches = tuple(
        PromoCache(
            ScheduledCache(scheduler, cache),
            new_generation=lambda: secrets.token_bytes(GENERATION_BYTES),
            clock=lambda: now[0],
            unknown_for_s=UNKNOWN_FOR_S,
        )
        for _host in range(2)
    )
    promos, other = (
        CardPromos(
            one,
            truth,
            is_readable=lambda encoded: promo_list(encoded) is not None,
            ttl_s=lambda _name: 60,
            report_lookup=lambda _is_hit: None,
        )
        for one in caches
    )
    return Harness(scheduler, truth, promos, other, (caches[0], caches[1]), now)
