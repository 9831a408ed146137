"""Keeps the banners of a ride for some seconds, and never longer than they are true.

All hosts share the cache, and it may lose anything at any moment, so nobody can tell the others what to forget. Instead
every order has a generation, a random value that never comes twice, and an answer counts only while the order's
generation is the one under which it was asked for. Whoever changes what the banners show replaces the generation,
before and after: answers that were asked for earlier never count again, even if they are stored later. An order that
has lost its generation gets another one, which voids all of its answers.

What a change has come to may be unknown: a call that has timed out may still be carried out. Then a mark in the cache
keeps the order's answers out of it until nothing can happen any more.

A cache that is away cannot be told of a change, and might come back with old answers. So the change is repeated until
it gets through or every answer is too old, and meanwhile this process neither reads nor stores answers of the order.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from ridehail_servers.chassis.background import cancelled, keep_running
from ridehail_servers.chassis.cache import Cache, CacheRefused, CacheUnavailable

LONGEST_TTL_S = 3600
"""Seconds that an answer is kept at most."""

GENERATION_BYTES = 16
_SEAL_BYTES = 16
# As long as a ride takes. A generation that goes earlier takes its answers with it.
_GENERATION_TTL_S = 24 * 3600.0
_REPEAT_EVERY_S = 0.2
_MOST_REPEATS = 10_000
_MARK = b"1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where answers about a ride are kept.

    Attributes:
        order_id: The order.
        variant: Whatever else the answer depends on.
    """

    order_id: str
    variant: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is in a place.

    Attributes:
        answer: The kept answer; None: there is none that counts.
        generation: Under which an answer that is asked for from now on may be kept; None: it must not be.
    """

    answer: bytes | None
    generation: bytes | None


NOTHING = Found(None, None)


@dataclass(slots=True)
class _Repeat:
    """A change that the cache has yet to be told of, in seconds of the clock."""

    begins: float
    ends: float


class PromoCache:
    """Keeps answers by order.

    Args:
        cache: Shared by all hosts.
        new_generation: Returns `GENERATION_BYTES` that have never been returned before.
        clock: Tells the time in seconds; only differences count.
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

    async def find(self, place: Place) -> Found:
        """Looks for an answer. Ask for one only after this has returned, if there is none.

        Args:
            place: Where.
        """
        if place.order_id in self._repeats:
            return NOTHING
        generation_key, mark_key, entry_key = _keys(place)
        try:
            generation, mark, entry = await self._cache.get_many(generation_key, mark_key, entry_key)
            if mark is not None:
                return NOTHING
            if generation is None or len(generation) != GENERATION_BYTES:
                return Found(None, await self._begun(generation_key, mark_key))
        except CacheUnavailable:
            return NOTHING
        return Found(_opened(entry, generation), generation)

    async def keep(self, place: Place, answer: bytes, *, generation: bytes, ttl_s: float) -> None:
        """Keeps an answer.

        Args:
            place: Where.
            answer: What.
            generation: Of `find` or `changed`, which had returned before the answer was asked for.
            ttl_s: For how many seconds, up to `LONGEST_TTL_S`.
        """
        if place.order_id in self._repeats:
            return
        _generation_key, _mark_key, entry_key = _keys(place)
        try:
            await self._cache.put(entry_key, _sealed(answer, generation), ttl_s=ttl_s)
        except CacheUnavailable:
            return

    async def about_to_change(self, order_id: str) -> None:
        """Voids the kept answers of an order, before it is tried to change what they tell.

        Args:
            order_id: The order.
        """
        if await self._renew(order_id) is None:
            self._repeat(order_id, after_s=0)

    async def changed(self, order_id: str, *, certainly: bool) -> bytes | None:
        """Voids the kept answers of an order, after it was tried to change what they tell.

        Args:
            order_id: The order.
            certainly: Whether it is known what has come of it, even if that is nothing.

        Returns:
            The generation under which an answer that is asked for from now on may be kept; None: it must not be.
        """
        if not certainly:
            await self._mark(order_id)
            self._repeat(order_id, after_s=self._unknown_for_s)
        generation = await self._renew(order_id)
        if generation is None:
            self._repeat(order_id, after_s=0)
        # What has come of another change may be unknown. A mark that is not there yet comes with another generation.
        if not certainly or await self._is_marked(order_id):
            return None
        return generation

    async def close(self) -> None:
        """Tells the cache once more of the changes that it has not been told of, and gives up on it."""
        if self._repeating is not None:
            await cancelled(self._repeating)
        for order_id in self._repeats:
            if await self._renew(order_id) is None:
                return

    async def _begun(self, generation_key: str, mark_key: str) -> bytes | None:
        """Returns the order's generation after it has got one, if it had none; None: nothing may be kept."""
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
        """Gives the order another generation; returns None where it may have its old one."""
        generation_key, generation = _generation_key(order_id), self._new_generation()
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
            await self._cache.put(_mark_key(order_id), _MARK, ttl_s=self._unknown_for_s, insist=True)
        except CacheUnavailable:
            return

    async def _is_marked(self, order_id: str) -> bool:
        try:
            (mark,) = await self._cache.get_many(_mark_key(order_id))
        except CacheUnavailable:
            return True
        return mark is not None

    def _repeat(self, order_id: str, *, after_s: float) -> None:
        begins = self._clock() + after_s
        ends = begins + LONGEST_TTL_S
        earlier = self._repeats.pop(order_id, None)
        if earlier is not None:
            begins, ends = max(begins, earlier.begins), max(ends, earlier.ends)
        elif len(self._repeats) >= _MOST_REPEATS:
            del self._repeats[next(iter(self._repeats))]
        self._repeats[order_id] = _Repeat(begins, ends)
        if self._repeating is None or self._repeating.done():
            self._repeating = asyncio.create_task(keep_running("voiding of kept banners", self._keep_repeating))

    async def _keep_repeating(self) -> None:
        while self._repeats:
            await asyncio.sleep(_REPEAT_EVERY_S)
            await self.repeat_what_is_due()

    async def repeat_what_is_due(self) -> None:
        """Tells the cache of the changes that it has not been told of, as far as it is time for them."""
        for order_id, repeat in list(self._repeats.items()):
            now = self._clock()
            if now < repeat.begins:
                continue
            told = await self._renew(order_id) is not None
            if told or now >= repeat.ends:
                # It may have been prolonged meanwhile.
                if self._repeats.get(order_id) is repeat:
                    del self._repeats[order_id]
            else:
                return


def _keys(place: Place) -> tuple[str, str, str]:
    return _generation_key(place.order_id), _mark_key(place.order_id), _entry_key(place)


def _generation_key(order_id: str) -> str:
    return f"{_prefix(order_id)}:generation"


def _mark_key(order_id: str) -> str:
    return f"{_prefix(order_id)}:unknown"


def _entry_key(place: Place) -> str:
    return f"{_prefix(place.order_id)}:entry:{_digest(*place.variant)}"


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


def _sealed(answer: bytes, generation: bytes) -> bytes:
    """Returns an answer in a form that shows its generation, and that it is whole."""
    return blake2b(answer, key=generation, digest_size=_SEAL_BYTES).digest() + answer


def _opened(entry: bytes | None, generation: bytes) -> bytes | None:
    """Returns the answer, if it is whole and of this generation."""
    if entry is None:
        return None
    seal, answer = entry[:_SEAL_BYTES], entry[_SEAL_BYTES:]
    expected = blake2b(answer, key=generation, digest_size=_SEAL_BYTES).digest()
    return answer if hmac.compare_digest(seal, expected) else None
