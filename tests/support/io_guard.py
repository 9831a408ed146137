"""What a test does beyond its own process: it opens a socket, or starts a process. Unit tests must not."""

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


class _Doors:
    """Whether doors are closed now, and which were tried."""

    def __init__(self) -> None:
        self.closed = False
        self.tried: list[str] = []

    def pass_through(self, what: str) -> None:
        if self.closed:
            self.tried.append(what)
            raise _Closed(what)


class _Closed(BaseException):
    """Nobody takes it for a failure of the network, or swallows it."""


_doors = _Doors()


@functools.cache
def _install() -> None:
    """Watches the doors from now on: an audit hook stays for good."""

    def hear(event: str, _arguments: tuple[object, ...]) -> None:
        if event in _EVENTS:
            _doors.pass_through(event)

    sys.addaudithook(hear)
    for owner, name in _IN_C:
        setattr(owner, name, _watched(getattr(owner, name), f"{owner.__name__}.{name}"))


def _watched(function: Callable[..., Any], what: str) -> Callable[..., Any]:  # whatever it takes
    @functools.wraps(function)
    def watched(*arguments: Any, **named: Any) -> Any:
        _doors.pass_through(what)
        return function(*arguments, **named)

    return watched


@contextmanager
def io_forbidden(*, only_if: bool) -> Iterator[None]:
    """Fails whoever opens a socket or starts a process during the block.

    Args:
        only_if: Otherwise nothing is kept closed.

    Raises:
        AssertionError: Somebody tried.
    """
    if not only_if:
        yield
        return
    _install()
    _doors.closed = True
    _doors.tried.clear()
    try:
        yield
    except _Closed:
        pass
    finally:
        _doors.closed = False
    assert not _doors.tried, f"a unit test may not do this: {_doors.tried}; is it `pytest.mark.integration`?"
