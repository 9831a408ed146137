"""Decides when an app polls next, so that the polls of all apps are spread evenly.

A rider has a slot within the interval: a hash of the uid and the hour. Every response moves the app to it, so apps that
polled together, after an outage or a push, are spread over one interval with their very next poll, and from then on a
rider's polls are one interval apart. Slots that were drawn anew for each response would spread the apps as fast, but
rides would be shown with pauses of half to one and a half intervals for good, and a pull-to-refresh would move the app.
All processes agree on a slot without a word. The hour is in the hash so that nobody shares a slot with the same riders
for ever.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from zlib import crc32

_WINDOW_MS: Final = 3_600_000


class PollingSchedule(NamedTuple):
    """When an app polls, in milliseconds.

    Attributes:
        interval_ms: The usual time between two polls.
        next_poll_ms: From now to the next one.
        longest_pause_ms: The longest pause after polls that failed.
    """

    interval_ms: int
    next_poll_ms: int
    longest_pause_ms: int


def next_poll_ms(yandex_uid: str, now_ms: int, interval_ms: int) -> int:
    """Returns how long it is to the rider's next slot that is half an interval away or more, in milliseconds.

    Args:
        yandex_uid: The rider.
        now_ms: The present time, since the epoch.
        interval_ms: From one slot to the next; at least 1.
    """
    slot = crc32(f"{now_ms // _WINDOW_MS} {yandex_uid}".encode())
    wait = (slot - now_ms) % interval_ms
    return wait if 2 * wait >= interval_ms else wait + interval_ms
