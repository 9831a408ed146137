"""What the tests of the clients share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.clients.eulas_by_script import App, FakeTime, ScriptedEulas, Start, running_app
from tests.clients.flavours import ASYNCIO, BLOCKING, Flavour
from tests.clients.scripted_server import ScriptedServer, running_server


@pytest.fixture(scope="module")
def module_server() -> Iterator[ScriptedServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def server(module_server: ScriptedServer) -> ScriptedServer:
    module_server.reset()
    return module_server


@pytest.fixture(params=[ASYNCIO, BLOCKING], ids=lambda flavour: flavour.name)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    chosen: Flavour = request.param
    return chosen


@pytest.fixture
def service(server: ScriptedServer) -> ScriptedEulas:
    server.behaviour = service = ScriptedEulas()
    return service


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.sqlite"


@pytest.fixture
def start(flavour: Flavour, server: ScriptedServer, file: Path, time: FakeTime) -> Start:
    return partial(running_app, flavour, server, file=file, time=time)


@pytest.fixture
async def app(start: Start) -> AsyncIterator[App]:
    async with start() as running:
        yield running
