"""What of an order can be passed on: not all JSON that can be received can be sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from ridehail_clients import JsonInput

DEEPEST: Final = 30
"""Levels of objects and lists in a member of an order. A message of 100 levels is not read any more, an object of JSON
takes three of them, and those around an order are more in the answer than in the request."""


def levels(value: JsonInput) -> int:
    """Returns how many levels of objects and lists a value has; 0: it is neither.

    Args:
        value: Any JSON.
    """
    return 1 + max(map(levels, _inner(value)), default=0) if _is_nested(value) else 0


def is_finite(value: JsonInput) -> bool:
    """Tells whether JSON can write all of a value's numbers.

    Args:
        value: Of the types of JSON.
    """
    if _is_nested(value):
        return all(map(is_finite, _inner(value)))
    return not isinstance(value, float) or math.isfinite(value)


def can_be_sent(details: Mapping[str, JsonInput] | None) -> bool:
    """Tells whether what a service says of an order can be passed on.

    Args:
        details: What it says; None: nothing.
    """
    return details is None or (levels(details) <= DEEPEST and is_finite(details))


def _is_nested(value: JsonInput) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str)


def _inner(value: JsonInput) -> Sequence[JsonInput]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, Sequence) else ()
