"""What an app does about agreements: shows those to be answered, and sees to it that every answer is saved.

Source: "new clients" among the fallbacks of the eulas design: the app lists what the user has yet to answer, shows
nothing when it gets no answer, saves all answers in one call, then lists and keeps what is signed; answers that cannot
be saved are kept and sent again, with growing pauses and a limit of attempts, until they are through.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from ridehail_clients._async.generated.eulas import AsyncPassengerEulasClient
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.errors import ServiceError
from ridehail_clients.eula_answers import (
    LARGEST_BATCH,
    EulaList,
    KeptAnswer,
    Pause,
    Random,
    ReportDraft,
    SaveReport,
    checked,
    is_refusal,
    pause_after,
    refused_among,
)
from ridehail_clients.kept_answers import KeptAnswers
from ridehail_clients.local_work import AsyncSleep, async_sleep, run_in_thread
from ridehail_clients.models import EulaDecision, EulaFilter
from ridehail_clients.retry import RetryPolicy
from ridehail_kernel.availability import is_unavailable

_LOCK_POLL_S: Final = 0.05
_LOCK_POLLS: Final = 100


class AsyncEulasFlow:
    """The agreements of one account of an app.

    An answer that `answer` was given is on the disk before anything is sent, and stays there until the service has
    taken it or has refused it for good: no crash and no outage loses it. A newer answer to the same agreement takes its
    place. Any number of flows, threads and processes may share the file: one of them sends at a time.

    Methods for which nothing else is said raise `OSError` or `sqlite3.Error` when the file cannot be used.

    Args:
        client: Acts for the passenger of this account.
        file: Where answers are kept, for all accounts of the app; made for its owner alone where there is none. Its
            folder exists and is on a local disk. A file that sqlite cannot read is set aside as `<file>.damaged`.
        account: Tells the accounts of the app apart: answers of one are never sent for another. Any text that stays
            the same for the account; the file holds a hash of it.
        retry: Of `save_kept`: how often it tries in one run, and how long it pauses. The pauses of an account go on
            where they were after a restart.
        clock: Tells the seconds since the epoch.
        random: Draws how much of a pause is made.
        sleep: Makes a pause.
    """

    def __init__(
        self,
        client: AsyncPassengerEulasClient,
        file: str | os.PathLike[str],
        *,
        account: str,
        retry: RetryPolicy = RetryPolicy(attempts=10, initial_backoff_s=1.0, max_backoff_s=300.0),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.time,
        random: Random = random.random,
        sleep: AsyncSleep = async_sleep,
    ) -> None:
        self._client = client
        self._kept = KeptAnswers(Path(file), account)
        self._retry = retry
        self._clock = clock
        self._random = random
        self._sleep = sleep

    async def list_unknown(
        self,
        *,
        zone_name: str,
        country: str | None = None,
        tariffs: Sequence[str] = (),
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> EulaList:
        """Lists the agreements to show: those that the user has yet to answer.

        What the user has answered on this phone is not among them, though the service may not know it yet.

        Args:
            zone_name: Where the user is.
            country: As agreements are configured with ("isr"); None: that of the zone.
            tariffs: Only agreements that concern one of these, at most 100, or any tariff; empty: all.
            timeout: Seconds for the whole call.
            metadata: To send along; `accept-language` chooses the language.

        Returns:
            The agreements; none while the service is unavailable.

        Raises:
            ServiceError: The service answered with an error.
        """
        # Asked before and after: an answer may be given, or saved, while the call is under way.
        answered = await run_in_thread(self._kept.unsaved)
        try:
            listed = await self._client.list_eulas(
                filter=EulaFilter.UNKNOWN,
                zone_name=zone_name,
                country=country,
                tariffs=tariffs,
                timeout=timeout,
                metadata=metadata,
            )
        except ServiceError as error:
            if not is_unavailable(error):
                raise
            return EulaList((), available=False)
        answered += await run_in_thread(self._kept.unsaved)
        ids = {one.decision.eula_id for one in answered}
        return EulaList(tuple(eula for eula in listed if eula.eula_id not in ids), available=True)

    async def list_signed(self, *, timeout: float | None = None, metadata: Metadata = ()) -> EulaList:
        """Lists the agreements that the user has accepted or rejected.

        Answers that are still to be saved are not among them, see `unsaved`.

        Args:
            timeout: Seconds for the whole call.
            metadata: To send along; `accept-language` chooses the language.

        Returns:
            The agreements; while the service is unavailable those that this file last kept.

        Raises:
            ServiceError: The service answered with an error.
        """
        try:
            listed = await self._client.list_eulas(filter=EulaFilter.SIGNED, timeout=timeout, metadata=metadata)
        except ServiceError as error:
            if not is_unavailable(error):
                raise
            return EulaList(await run_in_thread(self._kept.signed), available=False)
        return EulaList(listed, available=True)

    async def unsaved(self) -> tuple[EulaDecision, ...]:
        """Returns the account's answers that are still to be saved, in the order in which they were given."""
        return tuple(one.decision for one in await run_in_thread(self._kept.unsaved))

    async def answer(self, decisions: Iterable[EulaDecision]) -> SaveReport:
        """Keeps the user's answers, then tries once to save them and whatever else is kept.

        Args:
            decisions: The answers, in the order in which they were given: to one agreement the last one counts.

        Returns:
            What became of them. A call that fails raises nothing: the report tells it, and what is left unsaved is for
            `save_kept`.

        Raises:
            ValueError: One is no answer; none of them is kept.
        """
        await run_in_thread(self._kept.keep, checked(decisions))
        draft = ReportDraft()
        await self._attempt(draft, slept=None)
        return draft.finished(await run_in_thread(self._kept.unsaved))

    async def save_kept(self) -> SaveReport:
        """Saves what is kept, as often as it takes up to the limit of attempts, with growing pauses in between.

        For the start of the app, and after an `answer` that left something unsaved; it may take long, so in a task or
        thread of its own. It may be stopped at any moment. It ends early on an error that would only come again, such
        as an expired session.

        Returns:
            What became of the answers, over all attempts. What is left unsaved is for the next run.
        """
        draft = ReportDraft()
        for _ in range(self._retry.attempts):
            if not await run_in_thread(self._kept.has_work):
                break
            pause = await run_in_thread(self._kept.pause)
            left = pause.left(self._clock())
            if left > 0:
                await self._sleep(left)
            await self._attempt(draft, slept=pause)
            if draft.failure is not None and not is_unavailable(draft.failure):
                break
        return draft.finished(await run_in_thread(self._kept.unsaved))

    async def _attempt(self, draft: ReportDraft, *, slept: Pause | None) -> None:
        """Sends all there is, up to the first failure.

        Args:
            draft: Of the report.
            slept: The pause that was kept before, during which another may have tried; None: none has to be kept.
        """
        draft.failure = None
        lock = await self._lock()
        if lock is None:
            return
        with closing(lock):
            pause = await run_in_thread(self._kept.pause)
            if slept is not None and pause != slept and pause.left(self._clock()) > 0:
                return
            draft.failure = await self._send(draft) or await self._list_after_saving(draft)
            if draft.failure is not None and is_unavailable(draft.failure):
                pause = await run_in_thread(self._kept.pause)
                next_pause = pause_after(
                    pause, draft.failure, policy=self._retry, now=self._clock(), drawn=self._random()
                )
                await run_in_thread(self._kept.begin_pause, next_pause)

    async def _lock(self) -> sqlite3.Connection | None:
        """Becomes the only one that sends, or gives up: answers that overtake each other would be lost.

        The lock of a process that was killed is free again; one that is frozen keeps it.
        """
        for _ in range(_LOCK_POLLS):
            # Not in a thread: a caller that is cancelled then would leave the lock behind.
            lock = self._kept.try_lock()
            if lock is not None:
                return lock
            await self._sleep(_LOCK_POLL_S)
        return None

    async def _send(self, draft: ReportDraft) -> ServiceError | None:
        kept = await run_in_thread(self._kept.unsaved)
        batches = deque(kept[first : first + LARGEST_BATCH] for first in range(0, len(kept), LARGEST_BATCH))
        while batches:
            batch = batches.popleft()
            try:
                refresh = await self._client.save_eulas(eulas=[one.decision for one in batch])
            except ServiceError as error:
                if not is_refusal(error):
                    return error
                batches.extendleft(reversed(await self._without_refused(draft, batch, error)))
            else:
                await run_in_thread(self._kept.saved, batch)
                draft.add_saved(batch, refresh)
        return None

    async def _without_refused(
        self, draft: ReportDraft, batch: list[KeptAnswer], error: ServiceError
    ) -> list[list[KeptAnswer]]:
        """Drops the answers for which a batch was refused, and returns the batches to send in its place.

        An error that names none of them leaves it to halves of the batch to find out.
        """
        refused = refused_among(batch, error)
        if not refused:
            middle = len(batch) // 2
            return [batch[:middle], batch[middle:]]
        await run_in_thread(self._kept.refused, refused)
        draft.add_refused(refused, error)
        left = [one for one in batch if one not in refused]
        return [left] if left else []

    async def _list_after_saving(self, draft: ReportDraft) -> ServiceError | None:
        if not await run_in_thread(self._kept.signed_is_outdated):
            return None
        try:
            signed = await self._client.list_eulas(filter=EulaFilter.SIGNED)
        except ServiceError as error:
            return error
        await run_in_thread(self._kept.keep_signed, signed)
        draft.signed = signed
        return None
