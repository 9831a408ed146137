"""Circuit breakers: attempts at a method that hangs are refused at once, until it gets answers again.

Otherwise each caller would spend the time of an attempt, or of several, to find the same.
(M. Nygard, Release It!, "Circuit Breaker".)
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Protocol

import grpc

from ridehail_clients.errors import BreakerOpen, ServiceError, TransportUnavailable

_TIMEOUTS_TO_OPEN: Final = 5
# From the opening, or from a trial that failed, to the next trial.
_PAUSE_S: Final = 0.5
_PING_PAUSE_S: Final = 0.25

Ping = Callable[[], Awaitable[bool]]
"""Returns whether the server answers anything at all."""


class BreakerObserver(Protocol):
    """Is called when a breaker opens or closes."""

    def __call__(self, path: str, /, *, is_open: bool) -> None:
        """Takes the path of the method, and whether its breaker is now open."""


class Breakers:
    """The breakers of the methods of one channel, for the callers of one event loop.

    Each method has a breaker of its own, so that one that hangs does not shut off the others. A breaker opens after
    five attempts in a row that timed out. While one is open the server is pinged, which delays no caller. Once it
    answers, one call is let through as a trial; any answer to that closes the breaker.

    Args:
        ping: Asks the server for a sign of life.
        observer: See the type.
    """

    def __init__(self, ping: Ping, observer: BreakerObserver) -> None:
        self._ping = ping
        self._observer = observer
        self._breakers: dict[str, Breaker] = {}
        self._pinging: asyncio.Task[None] | None = None

    def of(self, path: str) -> Breaker:
        """Returns a method's breaker.

        Args:
            path: As in `/ridehail.tollroads.v1.TollRoadsService/SaveOffer`.
        """
        breaker = self._breakers.get(path)
        if breaker is None:
            breaker = self._breakers[path] = Breaker(path, self._changed)
        return breaker

    def close(self) -> None:
        """Closes all breakers, and ends the pinging."""
        for breaker in self._breakers.values():
            breaker.answered()
        if self._pinging is not None:
            self._pinging.cancel()

    def _changed(self, path: str, /, *, is_open: bool) -> None:
        self._observer(path, is_open=is_open)
        if is_open and self._pinging is None:
            self._pinging = asyncio.get_running_loop().create_task(self._ping_while_open())

    async def _ping_while_open(self) -> None:
        try:
            while awaiting := [breaker for breaker in self._breakers.values() if breaker.is_open]:
                pinged_at = time.monotonic()
                if await self._ping():
                    for breaker in awaiting:
                        breaker.server_answered(pinged_at)
                await asyncio.sleep(_PING_PAUSE_S)
        finally:
            self._pinging = None


class Breaker:
    """The breaker of one method.

    Args:
        path: Of the method.
        observer: See the type.
    """

    def __init__(self, path: str, observer: BreakerObserver) -> None:
        self._path = path
        self._observer = observer
        self._timeouts = 0
        self._opened_at = 0.0
        self._trial_at = math.inf
        self.is_open = False

    def attempt(self, *, timeout_counts: bool) -> Attempt:
        """Lets an attempt through; it is made inside the returned context.

        Args:
            timeout_counts: Whether the attempt has as much time as the server may take. If it has not, its timeout is
                no failure of the server.

        Raises:
            BreakerOpen: The method gets no answers at present.
        """
        if self.is_open:
            if time.monotonic() < self._trial_at:
                raise BreakerOpen(grpc.StatusCode.UNAVAILABLE, message=f"{self._path} gets no answers")
            # The next trial, should this one end without a result.
            self._trial_at = time.monotonic() + _PAUSE_S
        return Attempt(self, timeout_counts=timeout_counts)

    def answered(self) -> None:
        """Takes note of an attempt that got an answer, whatever it was."""
        self._timeouts = 0
        if self.is_open:
            self.is_open = False
            self._observer(self._path, is_open=False)

    def timed_out(self) -> None:
        """Takes note of an attempt that timed out."""
        self._timeouts += 1
        if self._timeouts >= _TIMEOUTS_TO_OPEN:
            self._opened_at = time.monotonic()
            self._trial_at = math.inf
            if not self.is_open:
                self.is_open = True
                self._observer(self._path, is_open=True)

    def server_answered(self, pinged_at: float) -> None:
        """Takes note of a ping that was answered: there is a trial as soon as the pause is over.

        Args:
            pinged_at: When the ping was sent, on the clock of `time.monotonic`, in seconds.
        """
        if pinged_at >= self._opened_at:
            self._trial_at = min(self._trial_at, self._opened_at + _PAUSE_S)


class Attempt:
    """The context in which an attempt is made: tells the breaker what came of it.

    Args:
        breaker: Of the method.
        timeout_counts: See `Breaker.attempt`.
    """

    __slots__ = ("_breaker", "_timeout_counts")

    def __init__(self, breaker: Breaker, *, timeout_counts: bool) -> None:
        self._breaker = breaker
        self._timeout_counts = timeout_counts

    def __enter__(self) -> None:
        """Does nothing: `Breaker.attempt` has decided."""

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exception is None:
            self._breaker.answered()
        elif not isinstance(exception, ServiceError) or isinstance(exception, TransportUnavailable):
            pass  # the caller left, or there is no server: that shows at once, and costs nobody time
        elif exception.code is grpc.StatusCode.CANCELLED:
            pass  # one of the two sides is shutting down
        elif exception.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
            self._breaker.answered()
        elif self._timeout_counts:
            self._breaker.timed_out()
