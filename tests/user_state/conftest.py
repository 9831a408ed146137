"""What the tests of user_state share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.user_state.comparing import Comparing


@pytest.fixture(scope="module")
async def module_suite(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[SuiteInProcess]:
    async with suite_in_process(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, services=["user-state"]
    ) as running:
        yield running


@pytest.fixture
async def user_state(module_suite: SuiteInProcess) -> SuiteInProcess:
    await module_suite.empty_tables()
    return module_suite


@pytest.fixture
async def comparing(user_state: SuiteInProcess) -> AsyncIterator[Comparing]:
    async with Comparing.opened(user_state) as opened:
        yield opened
