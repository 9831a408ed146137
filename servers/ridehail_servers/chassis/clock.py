"""Time, handed in wherever it decides something, so that tests move it instead of waiting."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present time as an aware datetime in UTC."""


def system_clock() -> datetime:
    return datetime.now(UTC)
