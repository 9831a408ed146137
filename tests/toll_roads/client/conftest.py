"""Fixtures of the tests of toll roads' clients: a scripted server, and the real service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.clients.scripted_server import ScriptedServer, running_server
from tests.support.suite_in_process import SuiteInProcess, suite_in_process


@pytest.fixture(scope="module")
def module_server(sockets: None) -> Iterator[ScriptedServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def server(module_server: ScriptedServer) -> ScriptedServer:
    """The module's server, reset."""
    module_server.reset()
    return module_server


@pytest.fixture(scope="module")
async def module_suite(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[SuiteInProcess]:
    """toll_roads and what it calls, served."""
    async with suite_in_process(
        database_url=module_database_url,
        keys_dir=keys_dir,
        config_dir=module_config_dir,
        services=("toll-roads", "order-core"),
    ) as running:
        yield running
