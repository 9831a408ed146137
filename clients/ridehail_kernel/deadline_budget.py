"""How much of an incoming call's deadline one step of handling it may use."""

from __future__ import annotations

from typing import Final, overload

from ridehail_kernel.call_context import remaining

_DEFAULT_SHARE: Final = 0.8


@overload
def share_of_remaining(share: float = ..., *, at_most: float) -> float: ...
@overload
def share_of_remaining(share: float = ..., *, at_most: None = None) -> float | None: ...


def share_of_remaining(share: float = _DEFAULT_SHARE, *, at_most: float | None = None) -> float | None:
    """Returns the timeout of a step, in seconds, that leaves time to respond without its result.

    Args:
        share: Of what remains until the incoming call's deadline, from 0 to 1.
        at_most: Limits the timeout, in seconds; alone if the incoming call has no deadline.

    Returns:
        At least 0, or None if neither limits it.
    """
    left = remaining()
    if left is None:
        return at_most
    budget = max(left, 0.0) * share
    return budget if at_most is None else min(at_most, budget)
