"""The banners of a ride: cached for some seconds, and fresh after the rider has changed what they show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from .promo_cache import CacheKey, PromoCache

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PromoRequest:
    """What banners depend on.

    Attributes:
        order_id: The order.
        sharing_key: The key under which the ride can be shared; empty: it has none.
        family_role: The rider's role in a family; empty: in none.
        locale: The rider's languages, as in the header Accept-Language.
    """

    order_id: str
    sharing_key: str
    family_role: str
    locale: str

    @property
    def cache_key(self) -> CacheKey:
        return CacheKey(self.order_id, (self.sharing_key, self.family_role, self.locale))


@dataclass(frozen=True, slots=True)
class FetchedPromos:
    """Banners as inapp returned them.

    Attributes:
        encoded: The response.
        banner_set: The set that they are of; empty: of none.
    """

    encoded: bytes
    banner_set: str


class PromoSource(Protocol):
    """Fetches banners."""

    async def fetch(self, request: PromoRequest, *, share_with_family: bool | None) -> FetchedPromos | None:
        """Returns the banners, or None if the call fails; `share_with_family`: the toggle, None: not moved."""


class CardPromos:
    """Finds the banners of rides, encoded.

    Args:
        cache: Of responses.
        source: Fetches banners.
        is_readable: Returns whether cached bytes are banners.
        ttl_s: Returns for how many seconds the banners of a set are cached.
        report_lookup: Called for each lookup with whether the banners were cached.
    """

    def __init__(
        self,
        cache: PromoCache,
        source: PromoSource,
        *,
        is_readable: Callable[[bytes], bool],
        ttl_s: Callable[[str], int],
        report_lookup: Callable[[bool], None],
    ) -> None:
        self._cache = cache
        self._source = source
        self._is_readable = is_readable
        self._ttl_s = ttl_s
        self._report_lookup = report_lookup
        self._changes: set[asyncio.Task[Any]] = set()

    async def get(self, request: PromoRequest) -> bytes | None:
        """Returns the banners, or None if nobody knows them."""
        lookup = await self._cache.look_up(request.cache_key)
        is_hit = lookup.response is not None and self._is_readable(lookup.response)
        self._report_lookup(is_hit)
        return lookup.response if is_hit else await self._fetch(request, lookup.generation)

    async def get_after_change(
        self, request: PromoRequest, *, share_with_family: bool, change: Callable[[], Awaitable[bool]]
    ) -> bytes | None:
        """Makes a change, and returns the banners as they are afterwards, or None if nobody knows them.

        A change that has begun is finished even if its caller is cancelled: whoever has changed something has to void
        what is cached.

        Args:
            request: What the banners depend on.
            share_with_family: To what the rider has moved the toggle.
            change: Tries to make the change, and returns whether its outcome is known.
        """

        async def change_and_fetch() -> bytes | None:
            await self._cache.before_change(request.order_id)
            is_certain = False
            try:
                is_certain = await change()
            finally:
                generation = await self._cache.after_change(request.order_id, is_certain=is_certain)
            return await self._fetch(request, generation, share_with_family=share_with_family)

        return await self._finish(change_and_fetch())

    async def close(self) -> None:
        """Waits for the changes under way. Call it when there are no calls any more, and before the cache is closed."""
        await asyncio.gather(*self._changes, return_exceptions=True)

    async def _finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.create_task(work)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _fetch(
        self, request: PromoRequest, generation: bytes | None, *, share_with_family: bool | None = None
    ) -> bytes | None:
        promos = await self._source.fetch(request, share_with_family=share_with_family)
        if promos is None:
            return None
        ttl_s = self._ttl_s(promos.banner_set)
        if generation is not None and ttl_s > 0:
            await self._cache.store(request.cache_key, promos.encoded, generation=generation, ttl_s=ttl_s)
        return promos.encoded
