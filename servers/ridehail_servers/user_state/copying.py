"""Copies personal states from one back end to the other.

The one that is copied to stores a copy only if it is of a higher revision than what it has. So nothing newer is ever
overwritten, whatever changes meanwhile, and a copying may be killed, repeated and run several times at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from ridehail_clients import PersonalStateCopy
from ridehail_servers.chassis.clock import Clock

LARGEST_PAGE: Final = 500
OVERLAP: Final = timedelta(seconds=60)
"""A state's time of change is set before it can be seen, and by a clock that may differ from ours: so each pass goes
back so far."""


class PageTooLarge(Exception):
    """The states of a page do not fit into a message."""


class BackEndUnavailable(Exception):
    """A back end does not answer, which may pass."""


class BackEnd(Protocol):
    """A back end of personal states, as far as copying needs it. Its methods raise `BackEndUnavailable`."""

    async def list_states(
        self, after_yandex_uid: str, changed_since: datetime | None, page_size: int
    ) -> Sequence[PersonalStateCopy]:
        """Returns states by user; fewer than `page_size`: there are no more.

        Raises:
            PageTooLarge: They do not fit into a message.
        """

    async def import_states(self, states: Sequence[PersonalStateCopy]) -> int:
        """Stores those that are newer than what is there; returns how many."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What has been done.

    Attributes:
        listed: States that were looked at.
        stored: Those of them that were newer than what the other back end had.
    """

    listed: int = 0
    stored: int = 0

    def __add__(self, other: Copied) -> Copied:
        return Copied(self.listed + other.listed, self.stored + other.stored)


Report = Callable[[Copied], None]
"""Told all that has been done so far, after each page."""


class Copying:
    """Copies from one back end to another."""

    def __init__(self, source: BackEnd, destination: BackEnd, clock: Clock, *, page_size: int = LARGEST_PAGE) -> None:
        """Takes both.

        Args:
            source: Copied from.
            destination: Copied to.
            clock: Tells the time.
            page_size: States of one message at most.
        """
        self._source = source
        self._destination = destination
        self._clock = clock
        self._page_size = page_size

    async def run(self, report: Report, *, changed_since: datetime | None = None, dry: bool = False) -> Copied:
        """Copies every state once.

        Args:
            report: Told of each page.
            changed_since: Only states that changed at this moment or later; None: all.
            dry: Whether nothing is stored; `stored` then tells what would be.
        """
        done = Copied()
        store = self._newer if dry else self._destination.import_states
        async for page in self._pages(self._source, "", changed_since):
            done += Copied(len(page), await store(page))
            report(done)
        return done

    async def follow(self, report: Report, pause: Callable[[BackEndUnavailable | None], Awaitable[None]]) -> None:
        """Copies every state, then those that have changed, over and over until it is cancelled.

        A pass that a back end breaks off is made again.

        Args:
            report: Told of each page; a state that changes often counts each time.
            pause: Waits between two passes; told why the last one was broken off, if it was.
        """
        before, since = Copied(), None
        while True:
            began = self._clock()
            failure = None
            try:
                before += await self.run(_on_top_of(before, report), changed_since=since)
                since = began - OVERLAP
            except BackEndUnavailable as error:
                failure = error
            await pause(failure)

    async def _pages(
        self, back_end: BackEnd, after: str, changed_since: datetime | None
    ) -> AsyncIterator[Sequence[PersonalStateCopy]]:
        size = self._page_size
        while True:
            try:
                page = await back_end.list_states(after, changed_since, size)
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
        # A part of a text comes before it: so the pages begin before the first user, and not far from it.
        after = page[0].yandex_uid[:-1]
        async for found in self._pages(self._destination, after, None):
            there.update((state.yandex_uid, int(state.revision_id)) for state in found)
            if found[-1].yandex_uid >= last:
                break
        return sum(revision > there.get(uid, 0) for uid, revision in wanted.items())


def _on_top_of(before: Copied, report: Report) -> Report:
    return lambda done: report(before + done)
