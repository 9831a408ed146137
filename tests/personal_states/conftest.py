"""What the tests of both back ends of personal states share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.personal_states.back_ends import NAMES, BackEnd
from tests.support.suite_in_process import SuiteInProcess, suite_in_process


@pytest.fixture(scope="module")
async def module_suite(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[SuiteInProcess]:
    async with suite_in_process(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, services=NAMES
    ) as running:
        yield running


@pytest.fixture
async def both(module_suite: SuiteInProcess) -> SuiteInProcess:
    await module_suite.empty_tables()
    return module_suite


@pytest.fixture(params=NAMES)
def back_end(both: SuiteInProcess, request: pytest.FixtureRequest) -> BackEnd:
    return BackEnd(both, request.param)
