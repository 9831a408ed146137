"""What the tests of route sharing share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.route_sharing.world import World
from tests.route_sharing.world import world as running_world


@pytest.fixture
async def world(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[World]:
    async with running_world(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as world:
        yield world
