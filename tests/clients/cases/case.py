"""A call as Python and as the wire see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]

NOON: Final = datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)
NOON_TEXT: Final = "2026-03-04T12:00:00.123456Z"


@dataclass(frozen=True)
class Case:
    """One call.

    Attributes:
        rpc: Service and method, as in `TollRoadsService/SaveOffer`.
        arguments: What the client's method is given.
        request: What goes out, as JSON.
        response: What comes back, as JSON.
        result: What the client's method returns.
    """

    rpc: str
    arguments: Json
    request: Json
    response: Json = field(default_factory=dict)
    result: object = None


def sent_as_given(rpc: str, arguments: Json, response: Json | None = None, result: object = None) -> Case:
    """A call whose arguments are the members of its request."""
    return Case(rpc, arguments, arguments, response or {}, result)
