"""The banners of a ride: kept for some seconds, and fresh after the rider has changed what they show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ridehail_clients import Promo, PromosOnTheWay

from .promo_cache import Found, Place, PromoCache

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Question:
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
    def place(self) -> Place:
        """Where the answer is kept."""
        return Place(self.order_id, (self.sharing_key, self.family_role, self.locale))


class Banners(Protocol):
    """Knows banners."""

    async def ask(self, question: Question, *, moved_to: bool | None) -> PromosOnTheWay | None:
        """Returns the banners; None when they cannot be told in time."""


class Encoding(Protocol):
    """Turns banners into bytes and back."""

    def encode(self, promos: PromosOnTheWay) -> bytes:
        """Returns the banners as bytes."""

    def decode(self, encoded: bytes) -> PromosOnTheWay | None:
        """Returns the banners; None where the bytes are none."""


class CardPromos:
    """Tells the banners of rides.

    Args:
        cache: Keeps answers.
        banners: Knows the banners.
        encoding: Of what is kept.
        ttl_s: Returns for how many seconds the banners of a set are kept.
        looked_up: Told for each question whether the answer was kept.
    """

    def __init__(
        self,
        cache: PromoCache,
        banners: Banners,
        encoding: Encoding,
        *,
        ttl_s: Callable[[str], int],
        looked_up: Callable[[bool], None],
    ) -> None:
        self._cache = cache
        self._banners = banners
        self._encoding = encoding
        self._ttl_s = ttl_s
        self._looked_up = looked_up
        self._changes: set[asyncio.Task[Any]] = set()

    async def of(self, question: Question) -> Sequence[Promo] | None:
        """Returns the banners; None when they cannot be told.

        Args:
            question: What is asked.
        """
        found = await self._cache.find(question.place)
        kept = self._kept(found)
        self._looked_up(kept is not None)
        if kept is not None:
            return kept.promos
        return await self._ask(question, found.generation)

    async def after(
        self, question: Question, *, moved_to: bool, change: Callable[[], Awaitable[bool]]
    ) -> Sequence[Promo] | None:
        """Makes a change, and returns the banners as they are afterwards; None when they cannot be told.

        Once begun it is gone through with, even if nobody waits for it any longer: whoever has changed something has to
        void what is kept.

        Args:
            question: What is asked.
            moved_to: To what the rider has moved the toggle.
            change: Tries to make the change, and returns whether it is known what has come of it.
        """

        async def change_and_ask() -> Sequence[Promo] | None:
            await self._cache.about_to_change(question.order_id)
            certainly = False
            try:
                certainly = await change()
            finally:
                generation = await self._cache.changed(question.order_id, certainly=certainly)
            return await self._ask(question, generation, moved_to=moved_to)

        return await self._gone_through_with(change_and_ask())

    async def close(self) -> None:
        """Waits for the changes under way. Call it when there are no calls any more, and before the cache is closed."""
        await asyncio.gather(*self._changes, return_exceptions=True)

    async def _gone_through_with(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.create_task(work)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _ask(
        self, question: Question, generation: bytes | None, *, moved_to: bool | None = None
    ) -> Sequence[Promo] | None:
        answer = await self._banners.ask(question, moved_to=moved_to)
        if answer is None:
            return None
        ttl_s = self._ttl_s(answer.banner_set)
        if generation is not None and ttl_s > 0:
            encoded = self._encoding.encode(answer)
            await self._cache.keep(question.place, encoded, generation=generation, ttl_s=ttl_s)
        return answer.promos

    def _kept(self, found: Found) -> PromosOnTheWay | None:
        return None if found.answer is None else self._encoding.decode(found.answer)
