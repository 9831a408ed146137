"""The two back ends of personal states, as far as api_proxy needs them: whatever happens is an outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Protocol

import grpc

from ridehail_clients import PersonalState, ServiceError, TariffSettings
from ridehail_servers.chassis.logs import get_logger

from .metrics import CallKind, CallOutcome, count_call
from .outcome import (
    NOT_CONNECTED,
    Answered,
    Outcome,
    Unanswered,
    answered_with,
    failed_with,
)
from .question import Change, Question

# Of a write's time: the rest is for the write itself.
_CONNECT_SHARE = 0.5
_POLL_S = 0.005

logger = get_logger(__name__)


class Client(Protocol):
    """Calls a back end, as either client of the library does."""

    async def get_personal_state(self, *, yandex_uid: str, timeout: float | None = None) -> PersonalState:
        """Reads a state."""

    async def update_personal_state(
        self,
        *,
        yandex_uid: str,
        revision_id: str,
        selected_category: str | None = None,
        tariffs: Sequence[TariffSettings] = (),
        mock: bool = False,
        timeout: float | None = None,
    ) -> PersonalState:
        """Changes a state."""


class RemoteBackEnd:
    """A back end that is called by gRPC.

    Args:
        name: As callers know the service.
        client: Calls it.
        channel: The one that the client calls on.
    """

    def __init__(self, name: str, client: Client, channel: grpc.aio.Channel) -> None:
        self.name = name
        self._client = client
        self._channel = channel

    async def ask(self, question: Question, *, timeout: float, mock: bool = False) -> Outcome:
        """See `personal_states.BackEnd`."""
        kind = _call_kind(question, mock=mock)
        started = time.monotonic()
        outcome = await self._outcome(question, kind, timeout)
        if isinstance(outcome, Unanswered):
            logger.warning("personal state not answered", back_end=self.name, kind=kind, reason=outcome.reason)
        count_call(self.name, kind, _call_outcome(outcome), time.monotonic() - started)
        return outcome

    async def _outcome(self, question: Question, kind: CallKind, timeout: float) -> Outcome:
        ends = time.monotonic() + timeout
        # A call that fails for want of a connection looks like one whose connection was lost after the write.
        if kind is CallKind.WRITE and not await self._is_connected(within=timeout * _CONNECT_SHARE):
            return NOT_CONNECTED
        try:
            return answered_with(await self._call(question, kind, ends - time.monotonic()))
        except ServiceError as error:
            return failed_with(error)
        except Exception as error:  # whatever garbage makes the client library do is no reason to fail the rider
            logger.warning("personal state unreadable", back_end=self.name, exc_info=error)
            return Unanswered("UNEXPECTED")

    def _call(self, question: Question, kind: CallKind, timeout: float) -> Awaitable[PersonalState]:
        change: Change | None = question.change
        if change is None:
            return self._client.get_personal_state(yandex_uid=question.yandex_uid, timeout=timeout)
        return self._client.update_personal_state(
            yandex_uid=question.yandex_uid,
            revision_id=change.revision_id,
            selected_category=change.selected_category,
            tariffs=change.tariffs,
            mock=kind is CallKind.MOCK_WRITE,
            timeout=timeout,
        )

    async def _is_connected(self, *, within: float) -> bool:
        """Tells whether a server can be called, or could be within `within` seconds if it is not yet known."""
        ends = time.monotonic() + within
        while (state := self._channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE or time.monotonic() >= ends:
                return False
            # Waiting for the channel's own word leaves a watch behind in gRPC for every caller that gives up.
            await asyncio.sleep(_POLL_S)
        return True


def _call_kind(question: Question, *, mock: bool) -> CallKind:
    if question.change is None:
        return CallKind.READ
    return CallKind.MOCK_WRITE if mock else CallKind.WRITE


def _call_outcome(outcome: Outcome) -> CallOutcome:
    if isinstance(outcome, Answered):
        return CallOutcome.OK if outcome.error is None else CallOutcome.REFUSED
    return CallOutcome.NOT_SENT if outcome is NOT_CONNECTED else CallOutcome.FAILED
