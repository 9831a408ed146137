"""What the tests of eulas share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.eulas.users import User
from tests.eulas.world import World
from tests.eulas.world import world as running_world


@pytest.fixture
async def world(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[World]:
    async with running_world(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as world:
        yield world


@pytest.fixture
def user(world: World) -> User:
    return world.user("4000000001")
