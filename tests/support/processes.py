"""Functions in processes of their own, which start fast."""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from ridehail_servers.chassis import logs
from tests.support.fork_server import fork_server
from tests.support.waiting import LIMIT_S


def start(function: Callable[..., object], *arguments: object) -> BaseProcess:
    """Runs a function of a module, or a coroutine function, in a process of its own."""
    process = fork_server().Process(target=_main, args=(function, arguments))
    process.start()
    return process


def ended_well(process: BaseProcess) -> bool:
    """Waits for the end of a process; returns whether it ended by itself, or False if it was killed.

    Raises:
        AssertionError: It failed in another way.
    """
    process.join(LIMIT_S)
    assert process.exitcode in {0, -signal.SIGKILL}, f"exit code {process.exitcode}"
    return process.exitcode == 0


def _main(function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    logs.configure(service="test process")
    if inspect.iscoroutinefunction(function):
        asyncio.run(function(*arguments))
    else:
        function(*arguments)
