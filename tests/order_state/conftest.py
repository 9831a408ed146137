"""What the tests of order_state share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.flavours import ASYNCIO, BLOCKING, Flavour
from tests.order_state.harness import Harness, Rider
from tests.order_state.harness import harness as running_harness
from tests.order_state.polling_app import PollingApp, Start


@pytest.fixture(scope="module")
async def module_harness(module_database_url: str, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[Harness]:
    """A harness that the tests of a module share."""
    async with running_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir
    ) as harness:
        yield harness


@pytest.fixture
async def harness(module_harness: Harness) -> Harness:
    """The module's harness, as if nothing had happened in it."""
    await module_harness.reset()
    return module_harness


@pytest.fixture
def rider(harness: Harness) -> Rider:
    return harness.rider("4000000001")


@pytest.fixture(params=[ASYNCIO, BLOCKING], ids=lambda flavour: flavour.name)
def app_of(request: pytest.FixtureRequest) -> Start:
    """Starts apps, in both flavours."""
    flavour: Flavour = request.param
    return lambda **options: PollingApp(flavour, options)


@pytest.fixture
def app(app_of: Start) -> PollingApp:
    """An app that polls by script."""
    return app_of()
