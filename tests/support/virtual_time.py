"""An event loop whose time passes only while there is nothing to do: hours in no time, the same on every machine."""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar
from unittest import mock

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _Selector(selectors.SelectSelector):
    """Advances the loop's time instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for something that does not come"
        self.now += timeout
        return super().select(0)


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine that talks to nothing outside of its loop, in virtual time."""
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(main)


def run_by_its_clock(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine in virtual time, which `time.monotonic` returns as well. It begins at 0."""

    async def on_its_clock() -> Result:
        with mock.patch.object(time, "monotonic", asyncio.get_running_loop().time):
            return await main

    return run(on_its_clock())


def in_virtual_time(test: Callable[Arguments, Coroutine[Any, Any, Result]]) -> Callable[Arguments, Result]:
    """Runs an asynchronous test by `run_by_its_clock`."""

    @functools.wraps(test)
    def run_test(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return run_by_its_clock(test(*args, **kwargs))

    return run_test
