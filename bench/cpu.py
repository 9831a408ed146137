"""What processes, and the whole machine, use of its cores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import psutil

CORES: Final = psutil.cpu_count() or 1
"""Of this machine."""


# So much of the machine may others use.
_MAX_OTHERS = 0.1


def is_noisy(other_cores: float) -> bool:
    """Returns whether others used too much of the machine for figures to mean anything."""
    return other_cores > _MAX_OTHERS * CORES


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """Returns the CPU time of processes so far."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # one of Postgres' short-lived helpers
            continue
        total += times.user + times.system
    return total


class MachineCpu:
    """Measures how many cores the machine uses, from its creation until `busy_cores` is called.

    Attributes:
        seconds: The length of that time.
    """

    seconds = 0.0

    def __init__(self) -> None:
        self._began, self._idle = time.monotonic(), _idle_seconds()

    def busy_cores(self) -> float:
        """Returns all that was not idle; so what the machine's host gave to others counts as well."""
        self.seconds = time.monotonic() - self._began
        return CORES - (_idle_seconds() - self._idle) / self.seconds


def _idle_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.idle + getattr(times, "iowait", 0.0))
