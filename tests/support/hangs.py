"""What a test that does not end waits for: pytest-timeout shows threads, which says nothing of an event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Generator
from typing import TextIO

import pytest

from tests.support.waiting import waits_of

# Before pytest-timeout ends the test.
_REPORT_AFTER_S = 300
_STDERR = pytest.StashKey[TextIO]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STDERR] = os.fdopen(os.dup(2), "w")  # of the run: while a test runs, pytest keeps its output


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    timer = threading.Timer(_REPORT_AFTER_S, _report, (item.nodeid, item.config.stash[_STDERR]))
    timer.daemon = True
    timer.start()
    try:
        return (yield)
    finally:
        timer.cancel()


def _report(test: str, stream: TextIO) -> None:
    """Prints where every task of every event loop waits."""
    print(f"\n{test} has not ended after {_REPORT_AFTER_S} s; its tasks:", file=stream)
    for task in tuple(asyncio.tasks._all_tasks):  # type: ignore[attr-defined]  # `all_tasks` is of one loop only
        if not task.done():
            print(*waits_of(task), sep="\n", file=stream)
    stream.flush()
