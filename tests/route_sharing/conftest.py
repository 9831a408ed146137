"""What the tests of route sharing share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.route_sharing.world import T0, World
from tests.route_sharing.world import world as running_world


@pytest.fixture(scope="module")
async def module_world(module_database_url: str, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[World]:
    """A world that the tests of a module share."""
    async with running_world(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir
    ) as world:
        yield world


@pytest.fixture
async def own_world(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[World]:
    """A world for one test alone, which may edit its configuration."""
    async with running_world(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as world:
        yield world


@pytest.fixture
async def world(module_world: World) -> World:
    """The module's world, as if nothing had happened in it."""
    await module_world.suite.empty_tables()
    module_world.clock[0] = T0
    return module_world
