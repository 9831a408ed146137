"""What the tests of eulas share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.eulas.users import User
from tests.eulas.world import World
from tests.eulas.world import world as running_world
from tests.support.databases import empty_tables


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """The database of the module, with nothing in it."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        empty_tables(connection)
    return module_database_url


@pytest.fixture(scope="module")
async def module_world(module_database_url: str, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[World]:
    """A world that the tests of a module share."""
    async with running_world(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir
    ) as world:
        yield world


@pytest.fixture
async def world(module_world: World) -> World:
    """The module's world, as if nothing had happened in it."""
    await module_world.reset()
    return module_world


@pytest.fixture
def user(world: World) -> User:
    return world.user("4000000001")
