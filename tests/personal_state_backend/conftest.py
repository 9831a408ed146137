"""What the tests of both back ends of personal states share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from tests.personal_state_backend.backends import NAMES, BackEnd, back_ends_of
from tests.personal_state_backend.copying import DIRECTIONS, Direction
from tests.support.suite_in_process import SuiteInProcess


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return NAMES


@pytest.fixture(scope="module")
async def module_back_ends(module_suite: SuiteInProcess) -> AsyncIterator[Mapping[str, BackEnd]]:
    async with back_ends_of(module_suite) as opened:
        yield opened


@pytest.fixture
def back_ends(running_suite: SuiteInProcess, module_back_ends: Mapping[str, BackEnd]) -> Mapping[str, BackEnd]:
    """Both, without any state."""
    return module_back_ends


@pytest.fixture(params=NAMES)
def back_end(back_ends: Mapping[str, BackEnd], request: pytest.FixtureRequest) -> BackEnd:
    return back_ends[request.param]


@pytest.fixture(params=DIRECTIONS, ids=lambda direction: f"{direction[0]} to {direction[1]}")
def direction(back_ends: Mapping[str, BackEnd], request: pytest.FixtureRequest) -> Direction:
    source, destination = request.param
    return back_ends[source], back_ends[destination]
