"""Fails unit tests that open a socket or start a process."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.process import BaseProcess
from typing import Any

from psycopg import generators

_EVENTS = {"os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.bind", "socket.connect", "subprocess.Popen"}
# What is done in C, of which Python's audit events say nothing.
_IN_C = (
    (import_module("grpc._channel").Channel, "__init__"),
    (import_module("grpc._server")._Server, "__init__"),
    (import_module("grpc.aio._channel").Channel, "__init__"),
    (import_module("grpc.aio._server").Server, "__init__"),
    (generators, "connect"),
    (BaseProcess, "start"),
)


class _Guard:
    """Whether I/O is forbidden now, and what was tried."""

    def __init__(self) -> None:
        self.active = False
        self.tried: list[str] = []

    def check(self, what: str) -> None:
        if self.active:
            self.tried.append(what)
            raise _Forbidden(what)


class _Forbidden(BaseException):
    """Not an Exception, so that nobody takes it for a failure of the network."""


_guard = _Guard()


@functools.cache
def _install() -> None:
    """Watches I/O from now on: an audit hook cannot be removed."""

    def on_event(event: str, _arguments: tuple[object, ...]) -> None:
        if event in _EVENTS:
            _guard.check(event)

    sys.addaudithook(on_event)
    for owner, name in _IN_C:
        setattr(owner, name, _watched(getattr(owner, name), f"{owner.__name__}.{name}"))


def _watched(function: Callable[..., Any], what: str) -> Callable[..., Any]:  # whatever it takes
    @functools.wraps(function)
    def watched(*arguments: Any, **named: Any) -> Any:
        _guard.check(what)
        return function(*arguments, **named)

    return watched


@contextmanager
def io_forbidden(*, only_if: bool) -> Iterator[None]:
    """Fails if a socket is opened or a process started during the block.

    Args:
        only_if: Otherwise everything is allowed.

    Raises:
        AssertionError: It was tried.
    """
    if not only_if:
        yield
        return
    _install()
    _guard.active = True
    _guard.tried.clear()
    try:
        yield
    except _Forbidden:
        pass
    finally:
        _guard.active = False
    assert not _guard.tried, f"a unit test may not do this: {_guard.tried}; is it `pytest.mark.integration`?"
