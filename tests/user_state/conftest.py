"""What the tests of user_state share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from tests.support.suite_in_process import SuiteInProcess
from tests.user_state.comparing import Comparing


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return ("user-state",)


@pytest.fixture
async def comparing(running_suite: SuiteInProcess) -> AsyncIterator[Comparing]:
    async with Comparing.opened(running_suite) as opened:
        yield opened
