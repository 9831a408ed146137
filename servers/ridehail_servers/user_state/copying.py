"""Copies personal states from one back end to the other.

The destination stores a copy only if its revision is higher than the stored one. So nothing newer is ever overwritten,
whatever changes meanwhile, and a copy job may be killed, repeated and run several times at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from ridehail_clients import PersonalStateCopy
from ridehail_servers.chassis.clock import Clock

MAX_PAGE_SIZE: Final = 500
OVERLAP: Final = timedelta(seconds=60)
"""How far back each pass goes: a state's time of change is set before others can see it, by a clock that may differ
from ours."""


class PageTooLarge(Exception):
    """The states of a page do not fit into a message."""


class EndpointUnavailable(Exception):
    """A back end is unavailable, perhaps for a short time."""


class CopyEndpoint(Protocol):
    """A back end to copy from or to. Its methods raise `EndpointUnavailable`."""

    async def list_states(
        self, after_yandex_uid: str, changed_since: datetime | None, page_size: int
    ) -> Sequence[PersonalStateCopy]:
        """Returns up to `page_size` states, sorted by user; fewer mean that there are no more.

        Raises:
            PageTooLarge: They do not fit into a message.
        """

    async def import_states(self, states: Sequence[PersonalStateCopy]) -> int:
        """Stores the states that are newer than the stored ones; returns how many."""


@dataclass(frozen=True, slots=True)
class CopyCounts:
    """How many states were read, and how many of them were newer than the destination's."""

    listed: int = 0
    stored: int = 0

    def __add__(self, other: CopyCounts) -> CopyCounts:
        return CopyCounts(self.listed + other.listed, self.stored + other.stored)


OnPage = Callable[[CopyCounts], None]
"""Gets the counts so far, after each page."""


class CopyJob:
    """Copies from a source to a destination."""

    def __init__(
        self, source: CopyEndpoint, destination: CopyEndpoint, clock: Clock, *, page_size: int = MAX_PAGE_SIZE
    ) -> None:
        self._source = source
        self._destination = destination
        self._clock = clock
        self._page_size = page_size

    async def run(self, on_page: OnPage, *, changed_since: datetime | None = None, dry_run: bool = False) -> CopyCounts:
        """Copies every state once, and returns the counts.

        Args:
            on_page: Called after each page.
            changed_since: Copy only states that changed at this time or later, or None for all.
            dry_run: Store nothing; `stored` then counts what would be.
        """
        done = CopyCounts()
        store = self._newer if dry_run else self._destination.import_states
        async for page in self._pages(self._source, "", changed_since):
            done += CopyCounts(len(page), await store(page))
            on_page(done)
        return done

    async def follow(self, on_page: OnPage, pause: Callable[[EndpointUnavailable | None], Awaitable[None]]) -> None:
        """Copies every state, then repeatedly those that have changed, until it is cancelled.

        A pass that fails because a back end is unavailable is repeated.

        Args:
            on_page: Called after each page; a state that changes often counts each time.
            pause: Waits between two passes; gets the failure of the last pass, or None.
        """
        before, since = CopyCounts(), None
        while True:
            began = self._clock()
            failure = None
            try:
                before += await self.run(_on_top_of(before, on_page), changed_since=since)
                since = began - OVERLAP
            except EndpointUnavailable as error:
                failure = error
            await pause(failure)

    async def _pages(
        self, endpoint: CopyEndpoint, after: str, changed_since: datetime | None
    ) -> AsyncIterator[Sequence[PersonalStateCopy]]:
        size = self._page_size
        while True:
            try:
                page = await endpoint.list_states(after, changed_since, size)
            except PageTooLarge:
                if size == 1:
                    raise
                size = max(1, size // 2)
                continue
            if page:
                yield page
            if len(page) < size:
                return
            after = page[-1].yandex_uid
            size = min(self._page_size, size * 2)

    async def _newer(self, page: Sequence[PersonalStateCopy]) -> int:
        """Counts the states of a page that the destination would store."""
        wanted = {state.yandex_uid: int(state.revision_id) for state in page}
        last = page[-1].yandex_uid
        there: dict[str, int] = {}
        # A prefix sorts before the text itself: so the pages begin just before the first user.
        after = page[0].yandex_uid[:-1]
        async for found in self._pages(self._destination, after, None):
            there.update((state.yandex_uid, int(state.revision_id)) for state in found)
            if found[-1].yandex_uid >= last:
                break
        return sum(revision > there.get(uid, 0) for uid, revision in wanted.items())


def _on_top_of(before: CopyCounts, on_page: OnPage) -> OnPage:
    return lambda done: on_page(before + done)
