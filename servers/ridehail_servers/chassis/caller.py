"""The service whose call is being handled."""

from __future__ import annotations

from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("caller", default="")


def current_caller() -> str:
    """Returns the calling service, as its verified ticket names it; "gateway" for a passenger's call."""
    return _current.get()


def set_caller(caller: str) -> None:
    _current.set(caller)
