"""Copying between the two back ends, and what must come of it whatever goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from ridehail_clients import PersonalStateCopy, RetryPolicy
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.command_line.personalstate import BackEndName
from ridehail_servers.command_line.personalstate_jobs import RemoteEndpoint
from ridehail_servers.user_state.copying import CopyCounts, CopyJob
from tests.personal_state_backend.backends import BackEnd, client_of, copy_of

DIRECTIONS = [("protocol", "user-state"), ("user-state", "protocol")]
Direction = tuple[BackEnd, BackEnd]


@asynccontextmanager
async def copying(source: BackEnd, destination: BackEnd, **options: Any) -> AsyncIterator[CopyJob]:
    """The job as the command runs it, in this process."""
    quick = RetryPolicy(attempts=1)
    async with (
        client_of(source.suite, source.name, "admin", retry=quick) as ours,
        client_of(destination.suite, destination.name, "admin", retry=quick) as theirs,
    ):
        yield CopyJob(
            RemoteEndpoint(BackEndName(source.name), ours),
            RemoteEndpoint(BackEndName(destination.name), theirs),
            system_clock,
            **options,
        )


async def states(back_end: BackEnd, *, page_size: int = 250) -> dict[str, PersonalStateCopy]:
    found: dict[str, PersonalStateCopy] = {}
    while page := await back_end.copies(after_yandex_uid=max(found, default=""), page_size=page_size):
        found |= {copy.yandex_uid: copy for copy in page}
    return found


def comparable(found: dict[str, PersonalStateCopy]) -> dict[str, Any]:
    """States by user; the order of tariffs is each back end's own."""
    return {
        uid: (
            copy.revision_id,
            copy.selected_category,
            sorted(json.dumps([one.category, one.requirements], sort_keys=True) for one in copy.tariffs),
        )
        for uid, copy in found.items()
    }


def nothing(_done: CopyCounts) -> None:
    """Ignores the progress."""


async def check_copies_beside_changes(
    direction: Direction, users: int, copy_with_trouble: Callable[[BackEnd, BackEnd], Awaitable[None]]
) -> None:
    """Copies while states change, and again; checks that all is copied and nothing newer overwritten.

    `copy_with_trouble` copies all of them at least once.
    """
    source, destination = direction
    for first in range(0, users, 500):
        numbers = range(first, min(first + 500, users))
        await source.take(*(copy_of(f"user-{n}", 3, "copied", {"a": {"n": n}}) for n in numbers))
    ends = asyncio.Event()
    changed: dict[str, set[str]] = {source.name: set(), destination.name: set()}

    async def keep_changing(back_end: BackEnd, first: int) -> None:
        """Sets states to a revision that no copy reaches, before, while and after they are copied."""
        for number in range(first, users, 7):
            if ends.is_set() and changed[back_end.name]:
                return
            await back_end.take(copy_of(f"user-{number}", 10, back_end.name))
            await back_end.update("10", f"{back_end.name} now", uid=f"user-{number}")
            changed[back_end.name].add(f"user-{number}")

    changing = [asyncio.create_task(keep_changing(back_end, n)) for n, back_end in enumerate(direction)]
    await copy_with_trouble(source, destination)
    ends.set()
    await asyncio.gather(*changing)

    async with copying(source, destination) as job:
        assert (await job.run(nothing)).listed == users
        assert await job.run(nothing, dry_run=True) == CopyCounts(users, 0)
    ours, theirs = await states(source), await states(destination)
    assert ours.keys() == theirs.keys()
    for uid, copy in theirs.items():
        if uid in changed[destination.name]:
            assert (copy.revision_id, copy.selected_category) == ("11", f"{destination.name} now")
        else:
            assert comparable({uid: copy}) == comparable({uid: ours[uid]})
