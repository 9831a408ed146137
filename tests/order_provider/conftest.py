"""Both services that keep orders, served by one process, as in a small deployment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ridehail_clients import AsyncOrderProviderClient
from tests.support.suite_in_process import SuiteInProcess, suite_in_process


@pytest.fixture(scope="module")
async def module_suite(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[SuiteInProcess]:
    services = ("eats-orders", "grocery-orders")
    async with suite_in_process(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, services=services
    ) as suite:
        yield suite


@pytest.fixture
async def running(module_suite: SuiteInProcess) -> SuiteInProcess:
    await module_suite.empty_tables()
    return module_suite


@pytest.fixture
async def eats(running: SuiteInProcess) -> AsyncIterator[AsyncOrderProviderClient]:
    ticket = running.ticket("admin")
    async with AsyncOrderProviderClient(running.address, service="eats-orders", ticket=ticket) as admin:
        yield admin


@pytest.fixture
async def grocery(running: SuiteInProcess) -> AsyncIterator[AsyncOrderProviderClient]:
    ticket = running.ticket("admin")
    async with AsyncOrderProviderClient(running.address, service="grocery-orders", ticket=ticket) as admin:
        yield admin
