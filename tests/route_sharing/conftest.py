"""What the tests of route sharing share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.route_sharing.harness import T0, Harness
from tests.route_sharing.harness import harness as running_harness


@pytest.fixture(scope="module")
async def module_harness(module_database_url: str, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[Harness]:
    """A harness that the tests of a module share."""
    async with running_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir
    ) as harness:
        yield harness


@pytest.fixture
async def own_harness(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[Harness]:
    """A harness for one test alone, which may edit its configuration."""
    async with running_harness(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as harness:
        yield harness


@pytest.fixture
async def harness(module_harness: Harness) -> Harness:
    """The module's harness, as if nothing had happened in it."""
    await module_harness.suite.empty_tables()
    module_harness.clock[0] = T0
    return module_harness
