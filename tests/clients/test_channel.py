from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2

from ridehail_clients import (
    AsyncTollRoadsClient,
    CallTimedOut,
    ClientClosed,
    DatabaseUnavailable,
    ServiceError,
    TollRoadsClient,
    TransportUnavailable,
    open_async_channel,
    open_sync_channel,
)
from ridehail_clients.calls.channel import version
from tests.clients.cases.all_cases import example_of
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer, fail, info, reply, retry_after, running_server
from tests.support.waiting import LIMIT_S

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
RETRIEVE = ("TollRoadsClient", "retrieve_order", {"order_id": "order"})
SWITCH_ROAD = "PassengerTollRoadsClient", "switch_road"


@pytest.fixture
def server(sockets: None) -> Iterator[ScriptedServer]:
    """A server for one test alone, which may change its health."""
    with running_server() as running:
        yield running


async def test_calls_name_the_library_and_its_version(server: ScriptedServer, flavour: Flavour) -> None:
    await flavour.call(server.target, *RETRIEVE)

    assert str(server.received[0].metadata["user-agent"]).startswith(f"ridehail-clients/{version()} ")


async def test_a_server_that_reports_itself_as_not_serving_gets_no_calls(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.health.set("", NOT_SERVING)

    with pytest.raises(TransportUnavailable):
        await flavour.call(server.target, *RETRIEVE)

    assert server.received == []


@pytest.mark.integration
async def test_a_server_without_health_service_gets_calls(flavour: Flavour) -> None:
    with running_server(with_health=False) as server:
        await flavour.call(server.target, *RETRIEVE)

    assert len(server.received) == 1


async def test_calls_of_passengers_do_not_depend_on_health(server: ScriptedServer, flavour: Flavour) -> None:
    server.health.set("", NOT_SERVING)

    await flavour.call(server.target, *SWITCH_ROAD, example_of("PassengerTollRoadsService/SwitchRoad"))

    assert len(server.received) == 1


@pytest.mark.integration
async def test_calls_are_spread_over_the_servers_of_the_target(flavour: Flavour) -> None:
    with running_server() as first, running_server() as second:
        target = f"ipv4:{first.target},{second.target}"
        async with flavour.opened(target, "TollRoadsClient", attempt_timeout=60) as opened:
            # Until both connections stand, all calls go to the server that was quicker.
            while not (first.received and second.received):
                await opened.call("retrieve_order", order_id="order", timeout=60)


async def test_a_lent_asyncio_channel_stays_open(server: ScriptedServer) -> None:
    async with open_async_channel(server.target) as channel:
        async with AsyncTollRoadsClient(channel, attempt_timeout=60) as client:
            await client.retrieve_order(order_id="order", timeout=60)
        await AsyncTollRoadsClient(channel, attempt_timeout=60).retrieve_order(order_id="order", timeout=60)

    assert len(server.received) == 2


def test_a_lent_blocking_channel_stays_open(server: ScriptedServer) -> None:
    with open_sync_channel(server.target) as channel:
        with TollRoadsClient(channel, attempt_timeout=60) as client:
            client.retrieve_order(order_id="order", timeout=60)
        TollRoadsClient(channel, attempt_timeout=60).retrieve_order(order_id="order", timeout=60)

    assert len(server.received) == 2


async def test_messages_beyond_four_mebibytes_are_refused(server: ScriptedServer, flavour: Flavour) -> None:
    with pytest.raises(ServiceError) as raised:
        await flavour.call(
            server.target,
            "OrderCoreClient",
            "put_order",
            {"order_id": "order", "yandex_uid": "uid", "document": {"text": "x" * (4 * 1024 * 1024)}, "timeout": 60},
        )

    assert raised.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.received == []


async def test_closing_a_client_ends_its_calls_without_repeating_them(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(server.hang, reply())
    async with flavour.opened(server.target, "TollRoadsClient", attempt_timeout=60) as opened:
        call = asyncio.create_task(opened.call("retrieve_order", order_id="order", timeout=60))
        assert await asyncio.to_thread(server.first_received.wait, LIMIT_S)

        await opened.close()

        with pytest.raises(ClientClosed) as raised:
            await call
    assert raised.value.code is grpc.StatusCode.CANCELLED
    assert len(server.received) == 1


async def test_a_closed_client_makes_no_calls(server: ScriptedServer, flavour: Flavour) -> None:
    async with flavour.opened(server.target, "TollRoadsClient") as opened:
        await opened.close()

        with pytest.raises(ClientClosed):
            await opened.call("retrieve_order", order_id="order")

    assert server.received == []


async def test_a_call_between_two_attempts_is_ended_by_the_next_one_when_the_client_is_closed(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(0.5)))
    async with flavour.opened(server.target, "TollRoadsClient", attempt_timeout=60) as opened:
        call = asyncio.create_task(opened.call("retrieve_order", order_id="order", timeout=60))
        assert await asyncio.to_thread(server.first_received.wait, LIMIT_S)
        await opened.close()

        with pytest.raises((ClientClosed, DatabaseUnavailable)):
            await call
    assert len(server.received) == 1


async def test_closing_a_client_hides_no_cancellation_of_the_caller(server: ScriptedServer) -> None:
    server.script(server.hang)
    client = AsyncTollRoadsClient(server.target, attempt_timeout=60)
    call = asyncio.create_task(client.retrieve_order(order_id="order", timeout=60))
    assert await asyncio.to_thread(server.first_received.wait, LIMIT_S)

    call.cancel()
    await client.close()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_client_that_wants_tls_sends_nothing_in_plain_text(server: ScriptedServer, flavour: Flavour) -> None:
    with pytest.raises((TransportUnavailable, CallTimedOut)):
        await flavour.call(server.target, *RETRIEVE, channel_credentials=grpc.ssl_channel_credentials())

    assert server.received == []
