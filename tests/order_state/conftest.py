"""What the tests of order_state share."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg import conninfo

from ridehail_servers import resources
from tests.clients.flavours import ASYNCIO, BLOCKING, Flavour
from tests.order_state.polling_app import PollingApp, Start
from tests.order_state.world import Rider, World
from tests.order_state.world import world as running_world

_TEMPLATE = "template_of_tests"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_world(
    postgres_url: str, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """A world that the tests of a module share; its tests have to run on the module's loop."""
    config_dir = Path(shutil.copytree(resources.folder("config"), tmp_path_factory.mktemp("world") / "config"))
    name = f"order_state_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}".encode())
    url = conninfo.make_conninfo(postgres_url, dbname=name)
    async with running_world(database_url=url, keys_dir=keys_dir, config_dir=config_dir) as world:
        yield world
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest_asyncio.fixture(loop_scope="module")
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
