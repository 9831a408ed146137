"""order_core alone, served and called for real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ridehail_clients import AsyncOrderCoreClient
from tests.support.suite_in_process import SuiteInProcess, suite_in_process


@pytest.fixture(scope="module")
async def module_suite(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[SuiteInProcess]:
    async with suite_in_process(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, services=("order-core",)
    ) as suite:
        yield suite


@pytest.fixture
async def running(module_suite: SuiteInProcess) -> SuiteInProcess:
    await module_suite.empty_tables()
    return module_suite


@pytest.fixture
async def client(running: SuiteInProcess) -> AsyncIterator[AsyncOrderCoreClient]:
    async with AsyncOrderCoreClient(running.address, ticket=running.ticket("admin")) as admin:
        yield admin
