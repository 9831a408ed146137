"""How busy a pool of connections is: who holds one, who waits, and how long the next caller would wait.

Measured here, where the queue is, rather than guessed from the latency of calls: from outside a method that is slow by
nature and a slow dependency look like overload, and an overload that lasts looks normal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

# Each use moves the mean by this share, so it follows a change within a dozen uses.
_MEAN_SHARE = 1 / 8
# Waits and holds are longer than foreseen as often as shorter; of a call that is just in time half are late.
_MARGIN = 1.25


@dataclass(frozen=True, slots=True)
class WaitTargets:
    """How many seconds callers may wait for a connection; always as long as connections are held.

    Attributes:
        standing_s: While no connection has been free for `burst_s`.
        burst_s: Otherwise: a burst that the pool soon works off is no overload.
    """

    standing_s: float
    burst_s: float


class ConnectionLoad:
    """Counts the uses of a pool's connections.

    The targets are those of CoDel as servers use it ("Fail at Scale", ACM Queue 13(8), 2015): a queue that empties now
    and then may grow for a while, one that stands is kept short.
    """

    def __init__(self, size: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = size
        # Called whenever a place in the queue or a connection gets free.
        self.on_progress: Callable[[], None] = _do_nothing
        # Mean seconds that a connection is held.
        self.hold_s = 0.0
        self.held = 0
        self._clock = clock
        # When each began to wait, the oldest first.
        self._waiting: dict[ConnectionUse, float] = {}
        self._last_idle = clock()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self) -> ConnectionUse:
        use, now = ConnectionUse(), self._clock()
        if self.expected_wait_s() == 0:
            self._last_idle = now
        self._waiting[use] = now
        return use

    def expected_wait_s(self) -> float:
        """Returns how many seconds the next caller would wait until others are done with their connections.

        0 while a connection is free, or free to be made, that none of those who wait will take: one that was given back
        is on its way to the first of them.
        """
        ahead = self.held + len(self._waiting) - self.size
        return 0.0 if ahead < 0 else (ahead + 1) * self.hold_s / self.size

    def has_room(self, targets: WaitTargets) -> bool:
        """Returns whether the next caller would get a connection soon."""
        expected = self.expected_wait_s()
        if not expected:
            return True
        stands = bool(self._waiting) and self._clock() - self._last_idle > targets.burst_s
        # To wait for as long as one's own query takes is no sign of overload.
        return expected <= max(targets.standing_s if stands else targets.burst_s, self.hold_s)

    def can_serve_within(self, seconds: float, *, uses: float) -> bool:
        """Returns whether the next caller would probably be done with `uses` connections in a row after `seconds`.

        True while a connection is free: a mean that no call renews must not keep all calls out.
        """
        expected = self.expected_wait_s()
        return not expected or _MARGIN * uses * (expected + self.hold_s) <= seconds

    def limit(self, targets: WaitTargets) -> int:
        """Returns how many callers may hold or wait for connections at once in a queue that stands."""
        if not self.hold_s:
            return self.size
        return self.size + int(max(targets.standing_s, self.hold_s) * self.size / self.hold_s)

    def lent(self, use: ConnectionUse) -> None:
        del self._waiting[use]
        use.lent_at = self._clock()
        self.held += 1
        if (uses := _uses.get()) is not None:
            uses.number += 1
        self.on_progress()

    def ended(self, use: ConnectionUse, *, completed: bool = True) -> None:
        """Notes that a caller has given its connection back, or waits no longer.

        Without `completed` the caller was not done with it, and would have held it for longer.
        """
        if use.lent_at is None:
            del self._waiting[use]
        else:
            self.held -= 1
            self.hold_s = mean_with(self.hold_s, self._clock() - use.lent_at, _MEAN_SHARE, completed=completed)
        self.on_progress()


class ConnectionUse:
    """One caller's use of a connection, lent at a time by the clock of the load, or None before."""

    __slots__ = ("lent_at",)

    def __init__(self) -> None:
        self.lent_at: float | None = None


class Uses:
    """Counts the connections that one call is lent."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


_uses: ContextVar[Uses | None] = ContextVar("connection_uses", default=None)


def counted_uses() -> Uses:
    """Counts the connections that the present task is lent from now on."""
    uses = Uses()
    _uses.set(uses)
    return uses


def mean_with(mean: float, sample: float, share: float, *, completed: bool) -> float:
    """Returns a moving mean with one more sample in it, of which 0 has none yet.

    A sample that is not `completed` is a lower bound, and moves the mean upwards only.
    """
    if not mean:
        return sample
    return mean + (sample - mean) * share if completed or sample > mean else mean


def _do_nothing() -> None:
    pass
