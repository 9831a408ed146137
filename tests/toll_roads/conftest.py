"""Fixtures of the tests of toll_roads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psycopg
import pytest

from ridehail_clients import AsyncTollRoadsClient
from tests.support.databases import empty_tables
from tests.support.retention import Retention, retention_of
from tests.support.suite_in_process import SuiteInProcess


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return ("toll-roads",)


@pytest.fixture
def suite(running_suite: SuiteInProcess) -> SuiteInProcess:
    """The services of the module, with empty tables."""
    return running_suite


@pytest.fixture
async def api_proxy(suite: SuiteInProcess) -> AsyncIterator[AsyncTollRoadsClient]:
    async with AsyncTollRoadsClient(suite.address, ticket=suite.ticket("api-proxy")) as client:
        yield client


@pytest.fixture
async def retention(module_database_url: str, tmp_path: Path) -> AsyncIterator[Retention]:
    """A database without rows, and no archive yet."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        empty_tables(connection)
    async with retention_of(module_database_url, tmp_path) as opened:
        yield opened
