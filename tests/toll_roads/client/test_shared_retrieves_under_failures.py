"""Shared batches whose server or callers fail: no caller hangs or fails because of another."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import (
    AsyncTollRoadsClient,
    CallTimedOut,
    ClientClosed,
    DatabaseUnavailable,
    OrderNotFound,
    OrderRoad,
    RetryPolicy,
    ServiceError,
    TollRoadsClient,
    TransportUnavailable,
    open_async_channel,
    open_sync_channel,
)
from tests.clients.flavours import ASYNCIO, Flavour
from tests.clients.scripted_server import Reply, ScriptedServer, fail, info, retry_after, running_server
from tests.support.virtual_time import run_by_its_clock
from tests.toll_roads.client.scripted_toll_roads import batches, message_of, numbered, roads_of, single_requests
from tests.toll_roads.client.shared_callers import CLIENT, COALESCING, ORDERS, Gate, callers_waiting, received, retrieve


async def test_an_order_whose_callers_are_all_gone_is_not_requested(server: ScriptedServer, flavour: Flavour) -> None:
    server.behaviour = gate = Gate(roads_of(ORDERS))
    async with flavour.opened(server.target, CLIENT, **COALESCING) as opened:
        under_way = []
        for number in (1, 2):
            under_way.append(asyncio.create_task(retrieve(opened, [f"order-{number}"])))
            await received(server, number)
        await retrieve(opened, ["order-3", "order-4"], timeout=0.05)
        patient = asyncio.create_task(retrieve(opened, ["order-4"]))
        await callers_waiting(opened, 3)
        gate.opened.set()
        await asyncio.gather(*under_way, patient)

    assert batches(server) == [["order-1"], ["order-2"], ["order-4"]]


async def test_a_transient_failure_of_a_batch_is_repeated_for_all_of_it(
    server: ScriptedServer, flavour: Flavour
) -> None:
    away = fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(0.01))
    response = roads_of(ORDERS)
    server.behaviour = lambda request, context: (
        away(context) if len(server.received) <= 2 else response(request, context)
    )
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING, retry=RetryPolicy(attempts=5)) as opened:
        results = await retrieve(opened, [f"order-{number}" for number in range(50)])

    assert results == ORDERS[:50]


async def test_a_failure_of_a_batch_is_raised_for_each_caller_as_an_error_of_its_own(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(
        fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(300), request_id="request-1")
    )
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING) as opened:
        results = await retrieve(opened, ["order-1"] * 10)

    assert [type(result) for result in results] == [DatabaseUnavailable] * 10
    assert {(error.retry_after, error.request_id) for error in results} == {(300, "request-1")}
    assert len({id(error) for error in results}) == 10


async def test_an_error_of_the_ticket_source_reaches_the_callers_and_not_the_next_batch(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.behaviour = roads_of(ORDERS)
    tickets: list[str] = []

    def ticket(_service: str) -> str:
        if not tickets:
            raise LookupError("no ticket yet")
        return tickets[0]

    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING, ticket=ticket) as opened:
        assert [type(result) for result in await retrieve(opened, ["order-1"] * 5)] == [LookupError] * 5
        tickets.append("ticket")
        assert await retrieve(opened, ["order-1"]) == [numbered(1)]


async def test_an_order_missing_from_the_response_is_looked_up_alone(server: ScriptedServer, flavour: Flavour) -> None:
    alone = roads_of(ORDERS)

    def behave(request: Any, context: grpc.ServicerContext) -> Message | None:
        if isinstance(request, api.RetrieveOrderRequest):
            return alone(request, context)
        return api.BatchRetrieveOrdersResponse(orders=[message_of(numbered(1))])

    server.behaviour = gate = Gate(behave)
    async with flavour.opened(server.target, CLIENT, **COALESCING) as opened:
        calls = asyncio.create_task(retrieve(opened, ["order-1", "order-2", "unknown", "order-1"]))
        await received(server, 1)
        gate.opened.set()
        first, silent, unknown, again = await calls

    assert (first, silent, again) == (numbered(1), numbered(2), numbered(1))
    assert type(unknown) is OrderNotFound
    assert sorted(single_requests(server)) == ["order-2", "unknown"]


@pytest.mark.parametrize(
    "refusal",
    [
        fail(grpc.StatusCode.UNIMPLEMENTED, message="Method not found!"),
        fail(grpc.StatusCode.PERMISSION_DENIED, info("CALLER_NOT_ALLOWED")),
    ],
    ids=["a server without batches", "rules of access without batches"],
)
async def test_where_there_are_no_batches_each_order_is_looked_up_alone(
    server: ScriptedServer, flavour: Flavour, refusal: Reply
) -> None:
    alone = roads_of(ORDERS)
    server.behaviour = lambda request, context: (
        alone(request, context) if isinstance(request, api.RetrieveOrderRequest) else refusal(context)
    )
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING) as opened:
        *found, unknown = await retrieve(opened, ["order-1", "order-2", "order-1", "unknown"])

    assert found == [numbered(1), numbered(2), numbered(1)]
    assert type(unknown) is OrderNotFound


async def test_orders_that_were_not_requested_are_ignored(server: ScriptedServer, flavour: Flavour) -> None:
    garbage = api.BatchRetrieveOrdersResponse(
        orders=[message_of(numbered(n)) for n in (5, 1, 5, 9)], missing_order_ids=["order-1", "order-7", "", "order-7"]
    )
    server.behaviour = lambda _request, _context: garbage
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING) as opened:
        found, missing = await retrieve(opened, ["order-1", "order-7"])

    assert found == numbered(1)
    assert isinstance(missing, OrderNotFound)


async def test_an_unreadable_road_fails_only_its_callers(server: ScriptedServer, flavour: Flavour) -> None:
    response = api.BatchRetrieveOrdersResponse(orders=[message_of(numbered(1)), message_of(numbered(2))])
    response.orders[0].created.seconds = 2**60
    server.behaviour = gate = Gate(lambda _request, _context: response)
    async with flavour.opened(server.target, CLIENT, **COALESCING) as opened:
        calls = asyncio.create_task(retrieve(opened, ["order-1", "order-2"]))
        await received(server, 1)
        gate.opened.set()
        unreadable, readable = await calls

    assert type(unreadable) is ServiceError
    assert unreadable.code is grpc.StatusCode.INTERNAL
    assert readable == numbered(2)


def test_hanging_batches_delay_later_callers_less_than_their_deadline(server: ScriptedServer, flavour: Flavour) -> None:
    server.behaviour = roads_of(ORDERS)
    hung = {"order-1", "order-2"}

    def latency(request: Any) -> float:
        return math.inf if hung & {*request.order_ids} else 0.0

    async def scenario() -> None:
        channel = flavour.in_memory(server, latency=latency)
        async with flavour.opened(channel, CLIENT, coalesce=True, attempt_timeout=0.1) as opened:
            calls = []
            for number in (1, 2):
                calls.append(asyncio.create_task(opened.call("retrieve_order", order_id=f"order-{number}", timeout=60)))
                await received(server, number)
            # Both places are taken. Whoever comes now gets one of them when the hung batches end.
            assert await opened.call("retrieve_order", order_id="order-3", timeout=50) == numbered(3)
            for result in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(result, CallTimedOut)

    if flavour is ASYNCIO:
        run_by_its_clock(scenario())
    else:
        asyncio.run(scenario())


async def test_a_slow_server_delays_only_its_callers(server: ScriptedServer, flavour: Flavour) -> None:
    response = roads_of(ORDERS)

    def behave(request: Any, context: grpc.ServicerContext) -> Message | None:
        time.sleep(0.05)
        return response(request, context)

    server.behaviour = behave
    chance = random.Random(1)
    numbers = [chance.randrange(300) for _ in range(200)]
    async with flavour.opened(server.target, CLIENT, **COALESCING) as opened:
        assert await retrieve(opened, [f"order-{number}" for number in numbers]) == [numbered(n) for n in numbers]


@pytest.mark.integration
async def test_a_server_that_dies_with_batches_under_way_fails_its_callers_before_their_time(flavour: Flavour) -> None:
    with running_server() as server:
        server.script(server.hang)
        opening = flavour.opened(server.target, CLIENT, **COALESCING)
        opened = await opening.__aenter__()
        calls = asyncio.create_task(retrieve(opened, [f"order-{number}" for number in range(300)], timeout=1000))
        await received(server, 1)
    results = await calls
    await opening.__aexit__(None, None, None)

    assert {type(result) for result in results} == {TransportUnavailable}


@pytest.mark.parametrize("lent", [False, True], ids=["own channel", "lent channel"])
async def test_closing_the_client_ends_the_wait_of_all_callers(
    server: ScriptedServer, flavour: Flavour, lent: bool
) -> None:
    server.script(server.hang)
    channel = None
    if lent:
        channel = open_async_channel(server.target) if flavour is ASYNCIO else open_sync_channel(server.target)
    async with flavour.opened(channel or server.target, CLIENT, **COALESCING) as opened:
        calls = asyncio.create_task(retrieve(opened, [f"order-{number}" for number in range(250)]))
        await received(server, 2)
        await callers_waiting(opened, 250)
        await opened.close()
        results = await calls

        [late] = await retrieve(opened, ["order-1"])
    if channel is not None:
        closing = channel.close()
        if closing is not None:
            await closing

    assert [type(result) for result in results] == [ClientClosed] * 250
    assert isinstance(late, ClientClosed)


async def test_closing_the_client_does_not_wait_for_a_pause_between_attempts(
    server: ScriptedServer, flavour: Flavour
) -> None:
    # A batch in a thread of its own keeps waiting after its callers have ended.
    pause_s = 60 if flavour is ASYNCIO else 10
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(pause_s)))
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING) as opened:
        calls = asyncio.create_task(retrieve(opened, ["order-1", "order-2"]))
        await received(server, 1)
        paused_at = server.received[-1].at
        await opened.close()
        results = await calls

    assert [type(result) for result in results] == [ClientClosed] * 2
    assert time.monotonic() - paused_at < pause_s


async def test_closing_twice_is_the_same_as_once(server: ScriptedServer, flavour: Flavour) -> None:
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING) as opened:
        await opened.close()
        await opened.close()


def test_clients_of_several_event_loops_and_threads_share_nothing(server: ScriptedServer) -> None:
    server.behaviour = roads_of(ORDERS)

    async def look_up(first: int) -> list[OrderRoad]:
        async with AsyncTollRoadsClient(server.target, **COALESCING) as client:
            calls = [client.retrieve_order(order_id=f"order-{n}", timeout=60) for n in range(first, first + 50)]
            return await asyncio.gather(*calls)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda first: asyncio.run(look_up(first)), (0, 50, 100, 150)))

    assert found == [ORDERS[first : first + 50] for first in (0, 50, 100, 150)]


def test_a_closed_client_leaves_no_thread(server: ScriptedServer) -> None:
    server.behaviour = roads_of(ORDERS)

    # A client that was closed a timestamp ago may still have some, until its last batch is over.
    others = set(threading.enumerate())

    def lookup_threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name.startswith("ridehail-lookups") and one not in others]

    with TollRoadsClient(server.target, **COALESCING) as client:
        assert lookup_threads() == []
        client.retrieve_order(order_id="order-1", timeout=60)
        assert lookup_threads()
    for thread in lookup_threads():
        thread.join(60)
    assert lookup_threads() == []
