"""Caches the banners of a ride for some seconds, and never longer than they are true.

All hosts share the cache, and it may lose anything at any time, so no host can invalidate another's entries. Instead
every order has a generation, a random value that never comes twice, and an entry counts only while the order's
generation is the one under which it was fetched. Whoever changes what the banners show replaces the generation, before
and after: responses that were fetched earlier never count again, even if they are stored later. An order that has lost
its generation gets another one, which voids all of its entries.

The outcome of a change may be unknown: a call that has timed out may still be carried out. Then a mark in the cache
keeps the order's responses out of it until nothing can happen any more.

A cache that is away cannot be invalidated, and might come back with old entries. So the change is repeated until it
gets through or every entry is too old, and meanwhile this process neither reads nor stores entries of the order.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from ridehail_servers.chassis.background import cancelled, keep_running
from ridehail_servers.chassis.cache import Cache, CacheRefused, CacheUnavailable

MAX_TTL_S = 3600
"""Seconds that a response is cached at most."""

GENERATION_BYTES = 16
_SEAL_BYTES = 16
# As long as a ride takes. A generation that goes earlier takes its entries with it.
_GENERATION_TTL_S = 24 * 3600.0
_REPEAT_EVERY_S = 0.2
_MAX_REPEATS = 10_000
_MARK = b"1"


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Under what a response about a ride is cached: its order, and whatever else it depends on."""

    order_id: str
    variant: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CacheLookup:
    """What there is under a key.

    Attributes:
        response: The cached response, or None if there is none that counts.
        generation: Under which a response that is fetched from now on may be stored, or None if it must not be.
    """

    response: bytes | None
    generation: bytes | None


_NOTHING = CacheLookup(None, None)


@dataclass(slots=True)
class _Repeat:
    """A change that has yet to reach the cache, in seconds of the clock."""

    begins: float
    ends: float


class PromoCache:
    """Caches responses by order.

    Args:
        cache: Shared by all hosts.
        new_generation: Returns `GENERATION_BYTES` that have never been returned before.
        clock: Returns the time in seconds; only differences count.
        unknown_for_s: For how many seconds a change whose outcome is unknown may still happen.
    """

    def __init__(
        self, cache: Cache, *, new_generation: Callable[[], bytes], clock: Callable[[], float], unknown_for_s: float
    ) -> None:
        self._cache = cache
        self._new_generation = new_generation
        self._clock = clock
        self._unknown_for_s = unknown_for_s
        self._repeats: dict[str, _Repeat] = {}
        self._repeating: asyncio.Task[None] | None = None

    async def look_up(self, key: CacheKey) -> CacheLookup:
        """Looks for a response. If there is none, fetch one only after this has returned."""
        if key.order_id in self._repeats:
            return _NOTHING
        generation_key, mark_key, entry_key = _keys(key)
        try:
            generation, mark, entry = await self._cache.get_many(generation_key, mark_key, entry_key)
            if mark is not None:
                return _NOTHING
            if generation is None or len(generation) != GENERATION_BYTES:
                return CacheLookup(None, await self._begin_generation(generation_key, mark_key))
        except CacheUnavailable:
            return _NOTHING
        return CacheLookup(_unseal(entry, generation), generation)

    async def store(self, key: CacheKey, response: bytes, *, generation: bytes, ttl_s: float) -> None:
        """Stores a response.

        Args:
            key: Where.
            response: What.
            generation: Of `look_up` or `after_change`, which had returned before the response was fetched.
            ttl_s: For how many seconds, up to `MAX_TTL_S`.
        """
        if key.order_id in self._repeats:
            return
        _generation_key, _mark_key, entry_key = _keys(key)
        try:
            await self._cache.put(entry_key, _seal(response, generation), ttl_s=ttl_s)
        except CacheUnavailable:
            return

    async def before_change(self, order_id: str) -> None:
        """Voids the entries of an order, before somebody tries to change what they show."""
        if await self._renew(order_id) is None:
            self._repeat(order_id, after_s=0)

    async def after_change(self, order_id: str, *, is_certain: bool) -> bytes | None:
        """Voids the entries of an order, after somebody tried to change what they show.

        Args:
            order_id: The order.
            is_certain: Whether the outcome is known, even if nothing has changed.

        Returns:
            The generation under which a response that is fetched from now on may be stored, or None if it must not be.
        """
        if not is_certain:
            await self._mark(order_id)
            self._repeat(order_id, after_s=self._unknown_for_s)
        generation = await self._renew(order_id)
        if generation is None:
            self._repeat(order_id, after_s=0)
        # The outcome of another change may be unknown. A mark that is not there yet comes with another generation.
        if not is_certain or await self._is_marked(order_id):
            return None
        return generation

    async def close(self) -> None:
        """Repeats once more the changes that have yet to reach the cache, and gives up."""
        if self._repeating is not None:
            await cancelled(self._repeating)
        for order_id in self._repeats:
            if await self._renew(order_id) is None:
                return

    async def _begin_generation(self, generation_key: str, mark_key: str) -> bytes | None:
        """Returns the order's generation, a new one if it had none, or None if nothing may be stored."""
        await self._cache.put(generation_key, self._new_generation(), ttl_s=_GENERATION_TTL_S, only_if_absent=True)
        # Another's generation may have come with a mark.
        generation, mark = await self._cache.get_many(generation_key, mark_key)
        if mark is not None:
            return None
        if generation is not None and len(generation) == GENERATION_BYTES:
            return generation
        # Somebody else's value is in the way.
        await self._cache.put(generation_key, self._new_generation(), ttl_s=_GENERATION_TTL_S)
        return None

    async def _renew(self, order_id: str) -> bytes | None:
        """Gives the order another generation, and returns it, or None if the order may still have its old one."""
        generation_key, generation = _generation_key(_prefix(order_id)), self._new_generation()
        try:
            try:
                await self._cache.put(generation_key, generation, ttl_s=_GENERATION_TTL_S, insist=True)
            except CacheRefused:
                # A full cache takes nothing more, but lets go of what it has.
                await self._cache.delete(generation_key)
        except CacheUnavailable:
            return None
        return generation

    async def _mark(self, order_id: str) -> None:
        try:
            await self._cache.put(_mark_key(_prefix(order_id)), _MARK, ttl_s=self._unknown_for_s, insist=True)
        except CacheUnavailable:
            return

    async def _is_marked(self, order_id: str) -> bool:
        try:
            (mark,) = await self._cache.get_many(_mark_key(_prefix(order_id)))
        except CacheUnavailable:
            return True
        return mark is not None

    def _repeat(self, order_id: str, *, after_s: float) -> None:
        begins = self._clock() + after_s
        ends = begins + MAX_TTL_S
        earlier = self._repeats.pop(order_id, None)
        if earlier is not None:
            begins, ends = max(begins, earlier.begins), max(ends, earlier.ends)
        elif len(self._repeats) >= _MAX_REPEATS:
            del self._repeats[next(iter(self._repeats))]
        self._repeats[order_id] = _Repeat(begins, ends)
        if self._repeating is None or self._repeating.done():
            self._repeating = asyncio.create_task(keep_running("voiding of kept banners", self._keep_repeating))

    async def _keep_repeating(self) -> None:
        while self._repeats:
            await asyncio.sleep(_REPEAT_EVERY_S)
            await self.repeat_due()

    async def repeat_due(self) -> None:
        """Repeats the changes that have yet to reach the cache, as far as it is time for them."""
        for order_id, repeat in list(self._repeats.items()):
            now = self._clock()
            if now < repeat.begins:
                continue
            is_through = await self._renew(order_id) is not None
            if is_through or now >= repeat.ends:
                # It may have been prolonged meanwhile.
                if self._repeats.get(order_id) is repeat:
                    del self._repeats[order_id]
            else:
                return


def _keys(key: CacheKey) -> tuple[str, str, str]:
    prefix = _prefix(key.order_id)
    return _generation_key(prefix), _mark_key(prefix), f"{prefix}:entry:{_digest(*key.variant)}"


def _generation_key(prefix: str) -> str:
    return f"{prefix}:generation"


def _mark_key(prefix: str) -> str:
    return f"{prefix}:unknown"


def _prefix(order_id: str) -> str:
    # Braces: a cluster keeps all that belongs to an order together.
    return f"ridehail:totw:{{{_digest(order_id)}}}"


def _digest(*parts: str) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


def _seal(response: bytes, generation: bytes) -> bytes:
    """Returns a response in a form that shows its generation, and that it is whole."""
    return blake2b(response, key=generation, digest_size=_SEAL_BYTES).digest() + response


def _unseal(entry: bytes | None, generation: bytes) -> bytes | None:
    """Returns the response, or None if it is not whole or of another generation."""
    if entry is None:
        return None
    seal, response = entry[:_SEAL_BYTES], entry[_SEAL_BYTES:]
    expected = blake2b(response, key=generation, digest_size=_SEAL_BYTES).digest()
    return response if hmac.compare_digest(seal, expected) else None
