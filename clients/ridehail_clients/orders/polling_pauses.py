"""Decides how long an app pauses between polls.

While polls succeed, the server's schedule says when the next one is. After a failure the pause is drawn over its whole
length ("full jitter"): apps that failed together must not come back together.

Marc Brooker: Exponential Backoff And Jitter. AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ridehail_clients.models import PollingSchedule

# Beyond this the pause has long reached its limit, and the power would only grow out of a float.
_MAX_DOUBLINGS: Final = 60
# Of its length every pause lasts this share at least: whatever is drawn, and however long parts took to fetch.
_MIN_SHARE: Final = 0.1
# A server that asks for more than this many intervals is mistaken.
_MAX_INTERVALS: Final = 2


@dataclass(frozen=True, slots=True)
class PollingPauses:
    """How long the poller pauses between polls, where the server does not say.

    Attributes:
        interval_s: The usual pause, in seconds; more than 0. It doubles with each poll that fails.
        longest_s: The longest that it grows to, in seconds; at least the usual one.
        jitter: The share of the usual pause that is drawn: with 0.2, it is from 80% to 120% of its length; 0 to less
            than 1. After a failure all of the pause but a tenth is drawn.
    """

    interval_s: float = 10.0
    longest_s: float = 300.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.interval_s <= self.longest_s:
            raise ValueError("interval_s must be more than 0, and at most longest_s")
        if not 0 <= self.jitter < 1:
            raise ValueError("jitter must be from 0 to less than 1")

    def after(
        self,
        failures: int,
        *,
        requested: float | None,
        drawn: float,
        schedule: PollingSchedule | None = None,
        elapsed: float = 0.0,
    ) -> float:
        """Returns the seconds until the next poll.

        Args:
            failures: How many polls have failed in a row.
            requested: What the server requested with the failure, in seconds; kept up to the longest pause. What is
                drawn comes on top of it, since all that were refused were given the same.
            drawn: From 0 to 1.
            schedule: Of the last response, or None if it had none.
            elapsed: Seconds since that response.
        """
        if schedule is None or schedule.interval_ms <= 0:
            interval, longest = self.interval_s, self.longest_s
            usual = interval * (1 - self.jitter + 2 * self.jitter * drawn)
        else:
            interval = schedule.interval_ms / 1000
            longest = max(schedule.longest_pause_ms / 1000, interval)
            usual = _until_slot(schedule, interval, elapsed, drawn)
        if not failures:
            return usual
        length = min(interval * 2.0 ** min(failures, _MAX_DOUBLINGS), longest)
        return min(requested or 0.0, longest) + length * (_MIN_SHARE + (1 - _MIN_SHARE) * drawn)


class PollingPace:
    """When the next poll is due: remembers how the last ones went.

    Calls may overlap: each replaces all that there is.
    """

    def __init__(self, pauses: PollingPauses) -> None:
        self._pauses = pauses
        self._schedule: tuple[PollingSchedule | None, float] = (None, 0.0)
        self._failures: tuple[int, float | None] = (0, None)

    def responded(self, schedule: PollingSchedule | None, now: float) -> None:
        """Notes a response and its schedule."""
        self._schedule = (schedule, now)
        self._failures = (0, None)

    def failed(self, retry_after: float | None) -> None:
        """Notes a poll that failed, with the seconds that the server requested, if it did."""
        self._failures = (self._failures[0] + 1, retry_after)

    def pause_s(self, now: float, drawn: float) -> float:
        """Returns the seconds until the next poll; `drawn` is from 0 to 1."""
        (schedule, responded_at), (failures, requested) = self._schedule, self._failures
        return self._pauses.after(
            failures, requested=requested, drawn=drawn, schedule=schedule, elapsed=now - responded_at
        )


def _until_slot(schedule: PollingSchedule, interval: float, elapsed: float, drawn: float) -> float:
    if schedule.next_poll_ms is None:
        return interval * (0.5 + drawn)
    # A clock that is set back must not stop the app.
    left = schedule.next_poll_ms / 1000 - max(elapsed, 0.0)
    return min(max(left, _MIN_SHARE * interval), _MAX_INTERVALS * interval)
