"""The agreements of an app: lists those to decide about, and sees to it that every decision is saved.

Source: "new clients" among the fallbacks of the eulas design: the app lists what the user has yet to decide about,
shows nothing when it gets no response, saves all decisions in one call, then lists and keeps what is signed; decisions
that cannot be saved are kept and sent again, with growing pauses and a limit of attempts, until they are saved.
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
from ridehail_clients.calls.call_metadata import Metadata
from ridehail_clients.calls.retry import RetryPolicy
from ridehail_clients.errors import ServiceError
from ridehail_clients.eulas.decisions import (
    MAX_BATCH,
    EulaList,
    Pause,
    PendingDecision,
    Random,
    ReportDraft,
    SaveReport,
    checked,
    is_refusal,
    pause_after,
    refused_among,
)
from ridehail_clients.eulas.outbox import DecisionOutbox
from ridehail_clients.local_work import AsyncSleep, async_sleep, run_in_thread
from ridehail_clients.models import EulaDecision, EulaFilter
from ridehail_kernel.availability import is_unavailable

_LOCK_POLL_S: Final = 0.05
_LOCK_POLLS: Final = 100


class AsyncEulasFlow:
    """The agreements of one account of an app.

    `answer` writes a decision to the disk before it sends anything, and the decision stays there until the service has
    saved it or refused it for good: no crash and no outage loses it. A newer decision about the same agreement replaces
    it. Any number of flows, threads and processes may share the file: one of them sends at a time.

    Every method may raise `OSError` or `sqlite3.Error` if the file cannot be used.

    Args:
        client: Acts for the passenger of this account.
        file: Holds the decisions of all accounts of the app. Created, readable by its owner alone, if missing. Its
            folder exists and is on a local disk. A file that sqlite cannot read is renamed to `<file>.damaged`.
        account: Identifies the account: decisions of one are never sent for another. Any text that stays the same for
            the account; the file holds a hash of it.
        retry: How often `save_kept` tries in one run, and how long it pauses. The pauses of an account continue after
            a restart.
        clock: Returns the seconds since the epoch.
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
        self._outbox = DecisionOutbox(Path(file), account)
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
        """Lists the agreements to show: those that the user has yet to decide about.

        Leaves out what the user has decided on this phone, even if the service does not know it yet.

        Args:
            zone_name: Where the user is.
            country: As agreements are configured with ("isr"), or None for that of the zone.
            tariffs: Only agreements that concern one of these, at most 100, or any tariff; empty: all.
            timeout: Seconds for the whole call.
            metadata: Further metadata of the call; `accept-language` chooses the language.

        Returns:
            The agreements, or none while the service is unavailable.

        Raises:
            ServiceError: The service returned an error.
        """
        # Read before and after: a decision may be made, or saved, while the call is under way.
        decided = await run_in_thread(self._outbox.unsaved)
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
        decided += await run_in_thread(self._outbox.unsaved)
        ids = {one.decision.eula_id for one in decided}
        return EulaList(tuple(eula for eula in listed if eula.eula_id not in ids), available=True)

    async def list_signed(self, *, timeout: float | None = None, metadata: Metadata = ()) -> EulaList:
        """Lists the agreements that the user has accepted or rejected.

        Decisions that are still to be saved are not among them, see `unsaved`.

        Args:
            timeout: Seconds for the whole call.
            metadata: Further metadata of the call; `accept-language` chooses the language.

        Returns:
            The agreements; while the service is unavailable, those that were last listed after saving.

        Raises:
            ServiceError: The service returned an error.
        """
        try:
            listed = await self._client.list_eulas(filter=EulaFilter.SIGNED, timeout=timeout, metadata=metadata)
        except ServiceError as error:
            if not is_unavailable(error):
                raise
            return EulaList(await run_in_thread(self._outbox.signed), available=False)
        return EulaList(listed, available=True)

    async def unsaved(self) -> tuple[EulaDecision, ...]:
        """Returns the account's decisions that are still to be saved, in the order in which they were made."""
        return tuple(one.decision for one in await run_in_thread(self._outbox.unsaved))

    async def answer(self, decisions: Iterable[EulaDecision]) -> SaveReport:
        """Writes the user's decisions to the file, then tries once to save all that the file holds.

        Args:
            decisions: In the order in which they were made: of one agreement the last one counts.

        Returns:
            The result. A call that fails raises nothing: the report has its error, and `save_kept` saves what is left.

        Raises:
            ValueError: One of them is neither accepted nor rejected, or its id is malformed; none of them is written.
        """
        await run_in_thread(self._outbox.keep, checked(decisions))
        draft = ReportDraft()
        await self._attempt(draft, slept=None)
        return draft.finished(await run_in_thread(self._outbox.unsaved))

    async def save_kept(self) -> SaveReport:
        """Saves what the file holds, with growing pauses between attempts, up to the limit of attempts.

        For the start of the app, and after an `answer` that left something unsaved. It may take long, so run it in a
        task or thread of its own; it may be stopped at any time. It ends early on an error that a repeat would only
        bring again, such as an expired session.

        Returns:
            The result of all attempts. What is left unsaved is for the next run.
        """
        draft = ReportDraft()
        for _ in range(self._retry.attempts):
            if not await run_in_thread(self._outbox.has_work):
                break
            pause = await run_in_thread(self._outbox.pause)
            left = pause.left(self._clock())
            if left > 0:
                await self._sleep(left)
            await self._attempt(draft, slept=pause)
            if draft.failure is not None and not is_unavailable(draft.failure):
                break
        return draft.finished(await run_in_thread(self._outbox.unsaved))

    async def _attempt(self, draft: ReportDraft, *, slept: Pause | None) -> None:
        """Sends all there is, up to the first failure.

        Args:
            draft: Of the report.
            slept: The pause made before, during which another may have tried, or None if none has to be made.
        """
        draft.failure = None
        lock = await self._lock()
        if lock is None:
            return
        with closing(lock):
            pause = await run_in_thread(self._outbox.pause)
            if slept is not None and pause != slept and pause.left(self._clock()) > 0:
                return
            draft.failure = await self._send(draft) or await self._list_after_saving(draft)
            if draft.failure is not None and is_unavailable(draft.failure):
                pause = await run_in_thread(self._outbox.pause)
                next_pause = pause_after(
                    pause, draft.failure, policy=self._retry, now=self._clock(), drawn=self._random()
                )
                await run_in_thread(self._outbox.begin_pause, next_pause)

    async def _lock(self) -> sqlite3.Connection | None:
        """Becomes the only sender, or gives up: decisions that overtake each other would be lost.

        The lock of a process that was killed is free again; a frozen process keeps its lock.
        """
        for _ in range(_LOCK_POLLS):
            # Not in a thread: a caller that is cancelled then would leave the lock behind.
            lock = self._outbox.try_lock()
            if lock is not None:
                return lock
            await self._sleep(_LOCK_POLL_S)
        return None

    async def _send(self, draft: ReportDraft) -> ServiceError | None:
        pending = await run_in_thread(self._outbox.unsaved)
        batches = deque(pending[first : first + MAX_BATCH] for first in range(0, len(pending), MAX_BATCH))
        while batches:
            batch = batches.popleft()
            try:
                refresh = await self._client.save_eulas(eulas=[one.decision for one in batch])
            except ServiceError as error:
                if not is_refusal(error):
                    return error
                batches.extendleft(reversed(await self._without_refused(draft, batch, error)))
            else:
                await run_in_thread(self._outbox.drop_saved, batch)
                draft.add_saved(batch, refresh)
        return None

    async def _without_refused(
        self, draft: ReportDraft, batch: list[PendingDecision], error: ServiceError
    ) -> list[list[PendingDecision]]:
        """Drops the decisions for which a batch was refused, and returns the batches to send in its place.

        If the error names none of them, halves of the batch find out.
        """
        refused = refused_among(batch, error)
        if not refused:
            middle = len(batch) // 2
            return [batch[:middle], batch[middle:]]
        await run_in_thread(self._outbox.drop_refused, refused)
        draft.add_refused(refused, error)
        left = [one for one in batch if one not in refused]
        return [left] if left else []

    async def _list_after_saving(self, draft: ReportDraft) -> ServiceError | None:
        if not await run_in_thread(self._outbox.signed_is_outdated):
            return None
        try:
            signed = await self._client.list_eulas(filter=EulaFilter.SIGNED)
        except ServiceError as error:
            return error
        await run_in_thread(self._outbox.keep_signed, signed)
        draft.signed = signed
        return None
