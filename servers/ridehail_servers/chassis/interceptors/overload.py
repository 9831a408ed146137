"""Refuses the calls that could not end in time, so that the others do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum

from ridehail_servers.chassis.connection_load import ConnectionLoad, Uses, counted_uses, mean_with
from ridehail_servers.chassis.errors import Overloaded
from ridehail_servers.chassis.metrics import ADMISSION_CALLS, ADMISSION_LIMIT, CALLS_REFUSED
from ridehail_servers.chassis.settings import AdmissionSettings

from .base import Call, Handler, Layer, Response

_MEAN_SHARE = 1 / 32


class Cause(StrEnum):
    """Why a call is refused."""

    # The process has as much under way as it takes.
    CALLS = "calls"
    # As many calls of the service wait for room as may.
    QUEUE = "queue"
    # There was no room for as long as a call may wait.
    WAIT = "wait"
    # The database could not respond before the call's deadline.
    DEADLINE = "deadline"


class ProcessCalls:
    """Counts the calls that the process has under way.

    gRPC's own `maximum_concurrent_rpcs` would refuse health checks as well, and so turn a busy server into a dead one.
    """

    def __init__(self, limit: int, services: int) -> None:
        self._limit = limit
        self._share = max(1, limit // max(1, services))
        self.number = 0

    def is_full(self, of_service: int) -> bool:
        """Returns whether no more may begin; a service that has less than its equal share may always begin one."""
        return self.number >= self._limit and of_service >= self._share


class Admission:
    """Decides which calls of one service go on, which wait until there is room, and which are refused.

    A call goes on while the service's pool can soon lend it a connection: services with other databases do not feel it.
    Of those that wait the newest goes on first: the oldest has the least time left. No call is refused for a database
    that does not respond at all: it fails for that.
    """

    def __init__(
        self, service: str, process: ProcessCalls, load: ConnectionLoad | None, settings: AdmissionSettings
    ) -> None:
        """Creates the admission to a service; the load is that of its pool, or None if it has no database."""
        self.in_flight = 0
        self._service = service
        self._process = process
        self._load = load
        self._targets = settings.targets
        self._max_waiting = settings.max_waiting
        self._max_wait_s = settings.max_wait_ms / 1000
        # Connections that a call of a method needs: the mean of the last dozens.
        self._uses: dict[str, float] = {}
        # The newest last.
        self._waiting: list[asyncio.Future[bool]] = []
        self._refused = {cause: CALLS_REFUSED.labels(service, cause) for cause in Cause}
        if load is not None:
            load.on_progress = self._let_one_go_on

    @property
    def under_way(self) -> int:
        return self.in_flight + len(self._waiting)

    def refusal(self) -> Cause | None:
        """Returns why a call that arrives now is refused, whichever it is, or None if it goes on or may wait."""
        if self._process.is_full(self.in_flight):
            return Cause.CALLS
        if len(self._waiting) >= self._max_waiting and not self._has_room():
            return Cause.QUEUE
        return None

    def count(self, cause: Cause) -> None:
        self._refused[cause].inc()

    async def enter(self, method: str, seconds: float) -> Uses:
        """Lets a call with `seconds` left go on, if need be after a wait, or raises `Overloaded`; `leave` ends it."""
        cause = self.refusal()
        if cause is None and not self._has_room():
            began = asyncio.get_running_loop().time()
            if not await self._gets_a_turn(seconds):
                cause = Cause.WAIT
            seconds -= asyncio.get_running_loop().time() - began
        if cause is None and not self._ends_within(method, seconds):
            cause = Cause.DEADLINE
        if cause is not None:
            self.count(cause)
            raise Overloaded
        self.in_flight += 1
        self._process.number += 1
        return counted_uses()

    def leave(self, method: str, uses: Uses, *, completed: bool) -> None:
        """Notes that a call has ended, `completed` if its handler came to its end."""
        self.in_flight -= 1
        self._process.number -= 1
        self._uses[method] = mean_with(self._uses.get(method, 0), uses.number, _MEAN_SHARE, completed=completed)
        self._let_one_go_on()

    def report(self) -> None:
        ADMISSION_CALLS.labels(self._service, "running").set(self.in_flight)
        ADMISSION_CALLS.labels(self._service, "waiting").set(len(self._waiting))
        if self._load is not None:
            ADMISSION_LIMIT.labels(self._service).set(self._load.limit(self._targets))

    def _has_room(self) -> bool:
        return self._load is None or self._load.has_room(self._targets)

    def _ends_within(self, method: str, seconds: float) -> bool:
        return self._load is None or self._load.can_serve_within(seconds, uses=self._uses.get(method, 1))

    async def _gets_a_turn(self, seconds: float) -> bool:
        """Waits until it is this call's turn; returns False when that takes too long."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(min(self._max_wait_s, seconds), _end_wait, turn)
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._let_one_go_on()  # this call does not take its turn
            raise
        finally:
            timer.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _let_one_go_on(self) -> None:
        # One for each place that gets free: the next may only be judged once this one stands in the queue.
        if self._waiting and self._has_room():
            _give(self._waiting.pop())


class OverloadLimit(Layer):
    """Lets calls go on as their service's admission decides."""

    def __init__(self, admissions: Mapping[str, Admission]) -> None:
        self._admissions = admissions

    @property
    def in_flight(self) -> int:
        return sum(admission.under_way for admission in self._admissions.values())

    async def around(self, call: Call, inner: Handler) -> Response:
        admission = self._admissions[call.served.service]
        method, completed = call.served.name, False
        uses = await admission.enter(method, call.seconds)
        try:
            response = await inner(call)
            completed = True
        finally:
            admission.leave(method, uses, completed=completed)
        return response


def _give(turn: asyncio.Future[bool]) -> None:
    if not turn.done():
        turn.set_result(True)


def _end_wait(turn: asyncio.Future[bool]) -> None:
    if not turn.done():
        turn.set_result(False)
