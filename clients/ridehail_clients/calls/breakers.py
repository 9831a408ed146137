"""Circuit breakers: attempts at a method that hangs fail at once, until it responds again.

Otherwise each caller would spend the time of an attempt, or of several, to find out the same.
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

_FAILURES_TO_OPEN: Final = 5
# From the opening, or from a trial that failed, to the next trial.
_PAUSE_S: Final = 0.5
_PING_PAUSE_S: Final = 0.25

Ping = Callable[[], Awaitable[bool]]
"""Returns whether the server responds at all."""


class BreakerObserver(Protocol):
    """Called when a breaker opens or closes."""

    def __call__(self, path: str, /, *, is_open: bool) -> None:
        """Reports the path of the method, and whether its breaker is now open."""


class Breakers:
    """The breakers of the methods of one channel, for the callers of one event loop.

    Each method has a breaker of its own, so that one that hangs does not shut off the others. A breaker opens after
    five attempts in a row that got no response in a fair time. While one is open the server is pinged, which delays no
    caller. Once it responds, one call is let through as a trial; any response to that closes the breaker.

    Args:
        ping: Checks whether the server responds.
        observer: Called when a breaker opens or closes.
    """

    def __init__(self, ping: Ping, observer: BreakerObserver) -> None:
        self._ping = ping
        self._observer = observer
        self._breakers: dict[str, Breaker] = {}
        self._pinging: asyncio.Task[None] | None = None

    def of(self, path: str) -> Breaker:
        """Returns the breaker of a method, named as in `/ridehail.tollroads.v1.TollRoadsService/SaveOffer`."""
        breaker = self._breakers.get(path)
        if breaker is None:
            breaker = self._breakers[path] = Breaker(path, self._changed)
        return breaker

    def close(self) -> None:
        """Closes all breakers, and ends the pinging."""
        for breaker in self._breakers.values():
            breaker.record_response()
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
                        breaker.allow_trial(pinged_at)
                await asyncio.sleep(_PING_PAUSE_S)
        finally:
            self._pinging = None


class Breaker:
    """The breaker of one method."""

    def __init__(self, path: str, observer: BreakerObserver) -> None:
        self._path = path
        self._observer = observer
        self._failures = 0
        self._opened_at = 0.0
        self._trial_at = math.inf
        self.is_open = False

    def attempt(self, *, fair_s: float) -> Attempt:
        """Lets an attempt through; it is made inside the returned context.

        Args:
            fair_s: Seconds in which the server can be expected to respond. An attempt that is given up earlier does
                not count.

        Raises:
            BreakerOpen: The method does not respond at present.
        """
        if self.is_open:
            if time.monotonic() < self._trial_at:
                raise BreakerOpen(grpc.StatusCode.UNAVAILABLE, message=f"{self._path} does not respond")
            # The next trial, should this one end without a result.
            self._trial_at = time.monotonic() + _PAUSE_S
        return Attempt(self, fair_s)

    def record_response(self) -> None:
        """Records that an attempt got a response, whatever it was."""
        self._failures = 0
        if self.is_open:
            self.is_open = False
            self._observer(self._path, is_open=False)

    def record_timeout(self) -> None:
        """Records that an attempt got no response in a fair time."""
        self._failures += 1
        if self._failures >= _FAILURES_TO_OPEN:
            self._opened_at = time.monotonic()
            self._trial_at = math.inf
            if not self.is_open:
                self.is_open = True
                self._observer(self._path, is_open=True)

    def allow_trial(self, pinged_at: float) -> None:
        """Records that a ping got a response: there is a trial as soon as the pause is over.

        Pings from before the opening, by the clock of `time.monotonic`, do not count.
        """
        if pinged_at >= self._opened_at:
            self._trial_at = min(self._trial_at, self._opened_at + _PAUSE_S)


class Attempt:
    """The context in which an attempt is made. Reports the result to the breaker."""

    __slots__ = ("_breaker", "_fair_at", "_fair_s")

    def __init__(self, breaker: Breaker, fair_s: float) -> None:
        self._breaker = breaker
        self._fair_s = fair_s
        self._fair_at = math.inf

    def __enter__(self) -> None:
        self._fair_at = time.monotonic() + self._fair_s

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exception is None or _is_response(exception):
            self._breaker.record_response()
        elif _is_timeout(exception) and time.monotonic() >= self._fair_at:
            self._breaker.record_timeout()


def _is_response(exception: BaseException) -> bool:
    # A server that is away costs nobody time, and both sides' shutting down gives CANCELLED.
    return (
        isinstance(exception, ServiceError)
        and not isinstance(exception, TransportUnavailable)
        and exception.code not in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
    )


def _is_timeout(exception: BaseException) -> bool:
    # A caller that leaves may have a timeout of its own.
    return isinstance(exception, asyncio.CancelledError) or (
        isinstance(exception, ServiceError) and exception.code is grpc.StatusCode.DEADLINE_EXCEEDED
    )
