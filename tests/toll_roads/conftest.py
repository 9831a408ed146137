"""Fixtures of the tests of toll_roads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from ridehail_clients import AsyncTollRoadsClient
from tests.support.databases import empty_tables
from tests.support.retention import Retention, retention_of
from tests.support.suite_in_process import SuiteInProcess
from tests.toll_roads.switch_harness import T0, SwitchHarness, switch_harness

if TYPE_CHECKING:
    from tests.toll_roads.yt_harness import YtHarness


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


@pytest.fixture(scope="module")
def module_yt(sockets: None) -> Iterator[YtHarness]:
    from tests.support.yt_cluster import YtCluster
    from tests.support.yt_proxy import yt_proxies
    from tests.toll_roads.yt_harness import YtHarness

    cluster = YtCluster()
    with yt_proxies(cluster) as address:
        yield YtHarness(cluster, address)
    assert not cluster.errors


@pytest.fixture
def yt(module_yt: YtHarness) -> YtHarness:
    """An empty cluster."""
    module_yt.reset()
    return module_yt


@pytest.fixture(scope="module")
async def module_harness(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[SwitchHarness]:
    async with switch_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir
    ) as running:
        yield running


@pytest.fixture
async def harness(module_harness: SwitchHarness) -> SwitchHarness:
    await module_harness.reset()
    return module_harness


@pytest.fixture
async def toll_order(harness: SwitchHarness) -> str:
    """An order that began on the toll road, for a fixed price."""
    await harness.put_order("order", (T0, True))
    await harness.put_document("order")
    return "order"
