"""How busy a pool of connections is: who holds one, who waits, and how long the next caller would wait.

Measured here, where the queue is, rather than guessed from the latency of calls: from outside a method that is slow by
nature and a slow dependency look like overload, and an overload that lasts looks normal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

# Each use moves the mean by this share, so it follows a change within a dozen uses.
_MEAN_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class QueueTargets:
    """How long callers may wait for a connection.

    Attributes:
        standing_s: Seconds, while the queue has not been empty for `burst_s`.
        burst_s: Seconds, otherwise: a burst that the pool soon works off is no overload.
        stall_s: Seconds that the first in the queue may have waited, however short the waits were before.
    """

    standing_s: float = 0.02
    burst_s: float = 0.1
    stall_s: float = 0.25


class ConnectionQueue:
    """Counts the uses of a pool's connections.

    The targets are those of CoDel as servers use it ("Fail at Scale", ACM Queue 13(8), 2015): a queue that empties now
    and then may grow for a while, one that stands is kept short.
    """

    def __init__(
        self, size: int, targets: QueueTargets = QueueTargets(), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepares an idle queue.

        Args:
            size: Connections of the pool at most.
            targets: How long callers may wait.
            clock: Returns seconds.
        """
        self.size = size
        # Called whenever a place in the queue or a connection gets free.
        self.on_progress: Callable[[], None] = _do_nothing
        # Mean seconds that a connection is held.
        self.hold_s = 0.0
        self.held = 0
        self._targets = targets
        self._clock = clock
        # When each began to wait, the oldest first.
        self._waiting: dict[ConnectionUse, float] = {}
        self._last_empty = clock()

    @property
    def waiting(self) -> int:
        """How many callers wait for a connection."""
        return len(self._waiting)

    def enter(self) -> ConnectionUse:
        """Notes that a caller wants a connection."""
        use, now = ConnectionUse(), self._clock()
        if not self._waiting:
            self._last_empty = now
        self._waiting[use] = now
        return use

    def expected_wait_s(self) -> float:
        """Returns how many seconds the next caller would wait; 0 while a connection is free."""
        if not self._waiting and self.held < self.size:
            return 0.0
        return (len(self._waiting) + 1) * self.hold_s / self.size

    def has_room(self) -> bool:
        """Tells whether the next caller would get a connection within the target."""
        expected = self.expected_wait_s()
        if not expected:
            return True
        now, targets = self._clock(), self._targets
        stands = bool(self._waiting) and now - self._last_empty > targets.burst_s
        if expected > (targets.standing_s if stands else targets.burst_s):
            return False
        return now - next(iter(self._waiting.values()), now) <= targets.stall_s

    def limit(self) -> int:
        """Returns how many callers the targets let hold or wait for connections at once, in a queue that stands."""
        if not self.hold_s:
            return self.size
        return self.size + int(self._targets.standing_s * self.size / self.hold_s)

    def lent(self, use: ConnectionUse) -> None:
        """Notes that a caller has its connection.

        Args:
            use: The caller's.
        """
        del self._waiting[use]
        use.lent_at = self._clock()
        self.held += 1
        self.on_progress()

    def ended(self, use: ConnectionUse, *, counts: bool = True) -> None:
        """Notes that a caller has given its connection back, or waits no longer.

        Args:
            use: The caller's.
            counts: Whether the time for which it was held tells of the next ones; False after a lost connection.
        """
        if use.lent_at is None:
            del self._waiting[use]
        else:
            self.held -= 1
            if counts:
                held_s = self._clock() - use.lent_at
                self.hold_s += (held_s - self.hold_s) * (_MEAN_SHARE if self.hold_s else 1)
        self.on_progress()


class ConnectionUse:
    """One caller's use of a connection.

    Attributes:
        lent_at: When it got the connection, by the queue's clock; None: not yet.
    """

    __slots__ = ("lent_at",)

    def __init__(self) -> None:
        """Begins to wait; `ConnectionQueue.enter` makes it."""
        self.lent_at: float | None = None


def _do_nothing() -> None:
    pass
