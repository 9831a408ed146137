"""A proxy in the environment is for the way to the internet: between services, and to the gateway, nothing uses it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2

from ridehail_clients import AsyncTollRoadsClient, TransportUnavailable, open_async_channel
from ridehail_servers import suite
from ridehail_servers.command_line.health import health
from ridehail_servers.runtime.up import _wait_until_healthy
from tests.clients.cases.all_cases import example_of
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer, running_server
from tests.support.waiting import LIMIT_S

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def proxy(sockets: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that nobody answers at."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{_closed_port()}")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def server(sockets: None) -> Iterator[ScriptedServer]:
    with running_server() as running:
        yield running


async def test_clients_of_services_pass_it_by(server: ScriptedServer, flavour: Flavour) -> None:
    await flavour.call(server.target, "TollRoadsClient", "retrieve_order", {"order_id": "order"})

    assert len(server.received) == 1


async def test_clients_of_the_gateway_pass_it_by(server: ScriptedServer, flavour: Flavour) -> None:
    arguments = example_of("PassengerTollRoadsService/SwitchRoad")
    await flavour.call(server.target, "PassengerTollRoadsClient", "switch_road", arguments)

    assert len(server.received) == 1


async def test_a_channel_that_is_asked_to_uses_it(server: ScriptedServer) -> None:
    async with open_async_channel(server.target, use_http_proxy=True) as channel:
        with pytest.raises(TransportUnavailable):
            await AsyncTollRoadsClient(channel, attempt_timeout=LIMIT_S).retrieve_order(
                order_id="order", timeout=LIMIT_S
            )

    assert server.received == []


async def test_up_finds_its_servers_beside_it(server: ScriptedServer) -> None:
    for definition in suite.SERVICES.values():
        for contract in definition.contracts:
            server.health.set(contract.descriptor.full_name, health_pb2.HealthCheckResponse.SERVING)

    await asyncio.wait_for(_wait_until_healthy(server.target, tuple(suite.SERVICES)), LIMIT_S)


async def test_a_probe_passes_it_by(server: ScriptedServer) -> None:
    server.health.set("", health_pb2.HealthCheckResponse.SERVING)

    await asyncio.to_thread(health, "toll-roads", grpc_port=int(server.target.rpartition(":")[2]))


def test_nothing_opens_channels_in_another_way() -> None:
    opening = {
        str(path.relative_to(ROOT))
        for folder in ("clients", "servers", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if "secure_channel(" in path.read_text()
    }

    assert opening == {"clients/ridehail_clients/calls/channel.py", "servers/ridehail_servers/command_line/health.py"}
