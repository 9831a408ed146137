"""Calls to the two back ends of personal states; whatever happens is a result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Protocol

import grpc

from ridehail_clients import AsyncUserStateClient, JsonMismatch, PersonalState, ServiceError, TariffSettings
from ridehail_kernel import call_context
from ridehail_servers.chassis.dependency_calls import CallFailure, call_dependency
from ridehail_servers.chassis.logs import get_logger

from .call_result import NOT_CONNECTED, BackEndResponse, CallResult, Comparison, NoResponse, failure, success
from .metrics import CallKind, CallOutcome, ComparisonOutcome, count_call, count_comparison
from .rider_request import RiderRequest

# Of a write's timeout: the rest is for the write itself.
_CONNECT_SHARE = 0.5
_POLL_S = 0.005

logger = get_logger(__name__)


class Client(Protocol):
    """What both clients of the library have."""

    async def get_personal_state(self, *, yandex_uid: str, timeout: float | None = None) -> PersonalState: ...

    async def update_personal_state(
        self,
        *,
        yandex_uid: str,
        revision_id: str,
        selected_category: str | None = None,
        tariffs: Sequence[TariffSettings] = (),
        mock: bool = False,
        timeout: float | None = None,
    ) -> PersonalState: ...


class BackEnd:
    """Calls a back end of personal states.

    Args:
        name: As callers know the service.
        client: Calls it.
        channel: The one that the client calls on.
    """

    def __init__(self, name: str, client: Client, channel: grpc.aio.Channel) -> None:
        self.name = name
        self._client = client
        self._channel = channel

    async def call(self, request: RiderRequest, *, timeout: float, mock: bool = False) -> CallResult:
        """Passes a rider's request on.

        Args:
            request: The request.
            timeout: Seconds, connecting included.
            mock: Whether a write is undone in the end.
        """
        kind = _call_kind(request, mock=mock)
        started = time.monotonic()
        result = await self._result(request, kind, timeout)
        if isinstance(result, NoResponse):
            logger.warning("personal state not answered", back_end=self.name, kind=kind, reason=result.reason)
        count_call(self.name, kind, _call_outcome(result), time.monotonic() - started)
        return result

    async def _result(self, request: RiderRequest, kind: CallKind, timeout: float) -> CallResult:
        ends = time.monotonic() + timeout
        # A call that fails for want of a connection looks like one whose connection was lost after the write.
        if kind is CallKind.WRITE and not await self._is_connected(within=timeout * _CONNECT_SHARE):
            return NOT_CONNECTED
        try:
            return success(await self._call(request, kind, ends - time.monotonic()))
        except ServiceError as error:
            return failure(error)
        except Exception as error:  # whatever garbage makes the client library do is no reason to fail the rider
            logger.warning("personal state unreadable", back_end=self.name, exc_info=error)
            return NoResponse("UNEXPECTED")

    def _call(self, request: RiderRequest, kind: CallKind, timeout: float) -> Awaitable[PersonalState]:
        if request.change is None:
            return self._client.get_personal_state(yandex_uid=request.yandex_uid, timeout=timeout)
        return self._client.update_personal_state(
            yandex_uid=request.yandex_uid,
            revision_id=request.change.revision_id,
            selected_category=request.change.selected_category,
            tariffs=request.change.tariffs,
            mock=kind is CallKind.MOCK_WRITE,
            timeout=timeout,
        )

    async def _is_connected(self, *, within: float) -> bool:
        """Returns whether a server can be called, or could be within `within` seconds if it is not yet known."""
        ends = time.monotonic() + within
        while (state := self._channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE or time.monotonic() >= ends:
                return False
            # Waiting for the channel's own notice leaves a watch behind in gRPC for every caller that gives up.
            await asyncio.sleep(_POLL_S)
        return True


async def compare(comparison: Comparison, user_state: AsyncUserStateClient) -> None:
    """Has user_state compare a pair of responses; user_state records and counts the differences."""
    with call_context.call_context(request_id=comparison.request_id):
        result = await call_dependency(
            user_state.compare_jsons(
                request_id=comparison.request_id,
                kind=comparison.kind,
                old=comparison.old.body,
                new=comparison.new.body,
                old_status=comparison.old.status,
                new_status=comparison.new.status,
            )
        )
    if isinstance(result, CallFailure) and result.reason != JsonMismatch.REASON:
        logger.warning("answers not compared", reason=result.reason, exc_info=result.error)
        count_comparison(comparison.kind, ComparisonOutcome.FAILED)
    else:
        count_comparison(comparison.kind, ComparisonOutcome.COMPARED)


def drop(comparison: Comparison) -> None:
    """Counts a pair of responses that is not compared."""
    count_comparison(comparison.kind, ComparisonOutcome.DROPPED)


def _call_kind(request: RiderRequest, *, mock: bool) -> CallKind:
    if request.change is None:
        return CallKind.READ
    return CallKind.MOCK_WRITE if mock else CallKind.WRITE


def _call_outcome(result: CallResult) -> CallOutcome:
    if isinstance(result, BackEndResponse):
        return CallOutcome.OK if result.error is None else CallOutcome.REFUSED
    return CallOutcome.NOT_SENT if result is NOT_CONNECTED else CallOutcome.FAILED
