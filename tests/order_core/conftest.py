"""order_core alone, served and called for real."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from ridehail_clients import AsyncOrderCoreClient
from tests.support.suite_in_process import SuiteInProcess


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return ("order-core",)


@pytest.fixture
def running(running_suite: SuiteInProcess) -> SuiteInProcess:
    return running_suite


@pytest.fixture
async def client(running: SuiteInProcess) -> AsyncIterator[AsyncOrderCoreClient]:
    async with AsyncOrderCoreClient(running.address, ticket=running.ticket("admin")) as admin:
        yield admin
