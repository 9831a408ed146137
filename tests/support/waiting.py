"""Waiting for a state, in blocking tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def eventually(
    condition: Callable[[], Result | None], *, unless: type[Exception] | tuple[()] = (), within: float = 20.0
) -> Result:
    """Calls `condition` until it gives something true, and returns that.

    Args:
        condition: What to wait for.
        unless: An exception that means "not yet".
        within: Seconds to wait.

    Raises:
        AssertionError: The time ran out.
    """
    ends = time.monotonic() + within
    last: object = None
    while time.monotonic() < ends:
        try:
            last = result = condition()
            if result:
                return result
        except unless as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"not within {within} s; last: {last!r}")
