"""Fixtures of the tests of apps' flows: scripted agreements, a clock, and apps with an outbox file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer, running_server
from tests.eulas.flow.scripted_eulas import FOLDERS, App, FakeTime, ScriptedEulas, Start, running_app


@pytest.fixture
def server() -> ScriptedServer:
    """A server that is called in memory."""
    return ScriptedServer()


@pytest.fixture
def served(server: ScriptedServer) -> Iterator[ScriptedServer]:
    """The server with a port, for apps in processes of their own."""
    with running_server(server) as running:
        yield running


@pytest.fixture
def service(server: ScriptedServer) -> ScriptedEulas:
    server.behaviour = service = ScriptedEulas()
    return service


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def file() -> Iterator[Path]:
    """The outbox of apps."""
    with tempfile.TemporaryDirectory(dir=FOLDERS) as folder:
        yield Path(folder, "outbox.sqlite")


@pytest.fixture
def start(flavour: Flavour, server: ScriptedServer, file: Path, time: FakeTime) -> Start:
    return partial(running_app, flavour, server, file=file, time=time)


@pytest.fixture
async def app(start: Start) -> AsyncIterator[App]:
    async with start() as running:
        yield running
