"""What the tests of the clients share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.scripted_server import ScriptedServer, running_server


@pytest.fixture(scope="module")
def module_server(sockets: None) -> Iterator[ScriptedServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def server(module_server: ScriptedServer) -> ScriptedServer:
    """The module's server, as if nobody had called it."""
    module_server.reset()
    return module_server
