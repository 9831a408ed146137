from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.chassis.transport.served import Served, served


@pytest.fixture(scope="module", params=["grpcio", "native"])
def transport_name(request: pytest.FixtureRequest, sockets: None) -> str:
    """Both, one after the other."""
    return str(request.param)


@pytest.fixture(scope="module")
async def module_served(transport_name: str) -> AsyncIterator[Served]:
    async with served(transport_name, max_message_bytes=100_000) as running:
        yield running


@pytest.fixture
def running(module_served: Served) -> Served:
    """A transport that serves, whose counts are at zero."""
    module_served.scripted.begun = module_served.scripted.cancelled = 0
    module_served.scripted.going_on.clear()
    return module_served
