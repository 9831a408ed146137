"""Servers that are restarted one after the other: no call that is safe to repeat fails, with any gap between two."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest
from grpc_health.v1 import health_pb2

from ridehail_clients import TransportUnavailable
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import running_server
from tests.support.background_calls import BackgroundCalls, Done, background_calls
from tests.support.replica import Replica
from tests.support.waiting import LIMIT_S

# As long as a server may take to come back, and long enough for a client's pauses between two attempts to grow.
_AWAY_S = 2.0


@pytest.fixture
def replicas(sockets: None) -> Iterator[list[Replica]]:
    started: list[Replica] = []
    try:
        started.extend(Replica.start(has_toll_road=number == 0) for number in range(2))
        yield started
    finally:
        for one in started:
            one.kill()


def answered_by(replica: Replica, done: list[Done]) -> bool:
    return any(one.has_toll_road is replica.has_toll_road for one in done)


async def restart(replicas: list[Replica], index: int, calls: BackgroundCalls, *, away_s: float = 0.0) -> None:
    """Drains one until the other has its calls, ends it, and starts it anew."""
    await asyncio.to_thread(replicas[index].drain)
    await calls.reaches(partial(answered_by, replicas[1 - index]))
    await asyncio.to_thread(replicas[index].end)
    await asyncio.sleep(away_s)
    replicas[index] = await asyncio.to_thread(replicas[index].restarted)


async def test_the_second_stops_as_soon_as_the_first_is_back(flavour: Flavour, replicas: list[Replica]) -> None:
    first, second = replicas
    async with background_calls(flavour, f"ipv4:{first.address},{second.address}") as calls:
        await calls.reaches(lambda done: answered_by(first, done) and answered_by(second, done))

        await restart(replicas, 0, calls, away_s=_AWAY_S)
        await restart(replicas, 1, calls)

        # The new servers, with their new health services, get calls soon.
        await calls.reaches(lambda done: answered_by(first, done) and answered_by(second, done))
        assert calls.failures == []


async def test_while_all_are_about_to_stop_they_still_get_calls(flavour: Flavour, replicas: list[Replica]) -> None:
    first, second = replicas
    async with background_calls(flavour, f"ipv4:{first.address},{second.address}") as calls:
        await calls.reaches(lambda done: answered_by(first, done) and answered_by(second, done))

        await asyncio.to_thread(first.drain)
        await asyncio.to_thread(second.drain)

        await calls.next(100)
        assert calls.failures == []


@pytest.mark.integration
async def test_one_that_reports_itself_as_not_serving_gets_no_calls_while_another_serves(flavour: Flavour) -> None:
    with running_server() as sick, running_server() as well:
        async with flavour.opened(
            f"ipv4:{sick.target},{well.target}", "TollRoadsClient", attempt_timeout=LIMIT_S
        ) as client:
            while not (sick.received and well.received):
                await client.call("retrieve_order", order_id="order", timeout=LIMIT_S)
            sick.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
            # The client learns of it between two of these calls.
            streak = 0
            while streak < 20:
                before = len(sick.received)
                await client.call("retrieve_order", order_id="order", timeout=LIMIT_S)
                streak = streak + 1 if len(sick.received) == before else 0
            before = len(sick.received)
            for _ in range(20):
                await client.call("retrieve_order", order_id="order", timeout=LIMIT_S)

        assert len(sick.received) == before


@pytest.mark.integration
async def test_servers_that_have_not_started_to_serve_get_no_calls(flavour: Flavour) -> None:
    with running_server() as server:
        server.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)

        async with flavour.opened(server.target, "TollRoadsClient", attempt_timeout=LIMIT_S) as client:
            for _ in range(3):
                with pytest.raises(TransportUnavailable):
                    await client.call("retrieve_order", order_id="order", timeout=LIMIT_S)

        assert server.received == []


@pytest.mark.integration
async def test_a_write_that_may_not_be_repeated_goes_to_a_server_that_is_about_to_stop(flavour: Flavour) -> None:
    with running_server() as server:
        async with flavour.opened(server.target, "OrderCoreClient", attempt_timeout=30) as client:
            await client.call("set_order_fields", order_id="order", push={"marks": ["before"]})
            server.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)

            # The client learns of it between two of these calls.
            for number in range(300):
                await client.call("set_order_fields", order_id="order", push={"marks": [str(number)]})
