"""What the tests of order_state share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.flavours import ASYNCIO, BLOCKING, Flavour
from tests.order_state.polling_app import PollingApp, Start
from tests.order_state.world import Rider, World
from tests.order_state.world import world as running_world


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
def rider(world: World) -> Rider:
    return world.rider("4000000001")


@pytest.fixture(params=[ASYNCIO, BLOCKING], ids=lambda flavour: flavour.name)
def app_of(request: pytest.FixtureRequest) -> Start:
    """Starts apps, in both flavours."""
    flavour: Flavour = request.param
    return lambda **options: PollingApp(flavour, options)


@pytest.fixture
def app(app_of: Start) -> PollingApp:
    """An app that polls by script."""
    return app_of()
