"""The deadline and the request id that a server passes on from an incoming call to the calls that it makes itself.

A server enters `call_context` once per incoming call. Every client call made inside it then ends by that deadline and
carries that request id; log lines name the service that handles it.
"""

from __future__ import annotations

import time
from contextvars import ContextVar, Token
from types import TracebackType
from typing import NamedTuple


class _Incoming(NamedTuple):
    deadline: float | None
    request_id: str | None
    service: str | None


_NOTHING = _Incoming(None, None, None)
_incoming: ContextVar[_Incoming] = ContextVar("ridehail_incoming_call", default=_NOTHING)


class call_context:  # noqa: N801  # reads as a function where it is used, and a class is the cheapest context manager
    """States for the `with` block which incoming call is being handled.

    Contexts nest: the earlier deadline wins, and what is not given stays.

    Args:
        deadline: By when the response has to be sent, on the clock of `time.monotonic` (seconds), or None for no
            further limit.
        request_id: The id under which the incoming call is logged, or None to keep the present one.
        service: The service that handles it, or None to keep the present one.
    """

    __slots__ = ("_deadline", "_request_id", "_service", "_token")

    def __init__(
        self, *, deadline: float | None = None, request_id: str | None = None, service: str | None = None
    ) -> None:
        self._deadline = deadline
        self._request_id = request_id
        self._service = service
        self._token: Token[_Incoming] | None = None

    def __enter__(self) -> None:
        outer = _incoming.get()
        deadline = self._deadline
        if deadline is None or (outer.deadline is not None and outer.deadline < deadline):
            deadline = outer.deadline
        self._token = _incoming.set(
            _Incoming(deadline, self._request_id or outer.request_id, self._service or outer.service)
        )

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _incoming.reset(self._token)
            self._token = None


def remaining() -> float | None:
    """Returns the seconds until the incoming call's deadline, negative once it is late, or None without a deadline."""
    deadline = _incoming.get().deadline
    return None if deadline is None else deadline - time.monotonic()


def request_id() -> str | None:
    """Returns the request id of the incoming call, or None."""
    return _incoming.get().request_id


def service() -> str | None:
    """Returns the service that handles the incoming call, or None."""
    return _incoming.get().service
