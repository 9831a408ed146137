"""The garbage collector of a run: it comes as rarely as in servers, and passes over what is there before the tests.

That is a million objects: to walk through them takes half a second, each time.
"""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

from ridehail_servers.runtime.child import ALLOCATIONS


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(ALLOCATIONS)
        gc.enable()
