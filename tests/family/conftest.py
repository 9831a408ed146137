"""What the tests of family share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ridehail_clients import AsyncFamilyClient
from tests.family.riders import Rider
from tests.support.suite_in_process import SuiteInProcess, suite_in_process


@pytest.fixture(scope="module")
async def module_suite(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[SuiteInProcess]:
    async with suite_in_process(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, services=("family",)
    ) as suite:
        yield suite


@pytest.fixture
async def suite(module_suite: SuiteInProcess) -> SuiteInProcess:
    await module_suite.empty_tables()
    return module_suite


@pytest.fixture
async def family(suite: SuiteInProcess) -> AsyncIterator[AsyncFamilyClient]:
    """Calls as somebody who sets things up."""
    async with AsyncFamilyClient(suite.address, ticket=suite.ticket("admin"), attempt_timeout=30.0) as client:
        yield client


@pytest.fixture
async def rider(suite: SuiteInProcess) -> AsyncIterator[Callable[..., Rider]]:
    """Makes riders, by account and phone."""
    async with suite.channel() as channel:
        yield lambda uid, phone="": Rider(suite, channel, uid, phone)
