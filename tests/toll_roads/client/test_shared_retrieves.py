"""Calls of `retrieve_order` that share batches: each caller gets the result of a call by itself."""

from __future__ import annotations

import asyncio
import time

import pytest

from ridehail_clients import (
    AsyncTollRoadsClient,
    CallTimedOut,
    InvalidRequest,
    OrderNotFound,
)
from ridehail_kernel.call_context import call_context
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer
from tests.toll_roads.client.scripted_toll_roads import batches, numbered, roads_of, single_requests
from tests.toll_roads.client.shared_callers import CLIENT, COALESCING, ORDERS, Gate, callers_waiting, received, retrieve


async def test_a_single_call_is_sent_at_once_as_a_batch_of_one(server: ScriptedServer, flavour: Flavour) -> None:
    server.behaviour = roads_of(ORDERS)
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING) as opened:
        assert await opened.call("retrieve_order", order_id="order-7") == numbered(7)
    assert batches(server) == [["order-7"]]


async def test_without_the_option_each_call_is_sent_by_itself(server: ScriptedServer, flavour: Flavour) -> None:
    server.behaviour = roads_of(ORDERS)
    async with flavour.opened(flavour.in_memory(server), CLIENT, attempt_timeout=60) as opened:
        assert await retrieve(opened, ["order-1", "order-2"]) == [numbered(1), numbered(2)]
    assert (sorted(single_requests(server)), batches(server)) == (["order-1", "order-2"], [])


async def test_calls_at_the_same_time_share_batches_of_a_hundred_distinct_orders_at_most(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.behaviour = gate = Gate(roads_of(ORDERS))
    ids = [f"order-{number % 250}" for number in range(500)]
    async with flavour.opened(server.target, CLIENT, **COALESCING) as opened:
        calls = asyncio.create_task(retrieve(opened, ids))
        await callers_waiting(opened, 500)
        gate.opened.set()
        assert await calls == [numbered(number % 250) for number in range(500)]

    sent = batches(server)
    assert len(sent) <= 8
    assert all(len(batch) <= 100 and len(set(batch)) == len(batch) for batch in sent)
    assert single_requests(server) == []


async def test_an_id_that_is_no_text_fails_only_its_caller(server: ScriptedServer, flavour: Flavour) -> None:
    server.behaviour = roads_of(ORDERS)
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING) as opened:
        results = await retrieve(opened, ["order-1", 7, None, "\ud800", "order-2"])  # type: ignore[list-item]

    assert [results[0], results[4]] == [numbered(1), numbered(2)]
    assert isinstance(results[1], TypeError)
    assert isinstance(results[3], ValueError)
    assert "7" not in single_requests(server)


async def test_a_batch_refused_because_of_one_order_is_repeated_order_by_order(
    server: ScriptedServer, flavour: Flavour
) -> None:
    # A server whose rule is stricter than this library knows.
    server.behaviour = gate = Gate(roads_of(ORDERS))
    async with flavour.opened(server.target, CLIENT, **COALESCING) as opened:
        calls = asyncio.create_task(retrieve(opened, ["order-1", "order-2", "order-3", "bad", "order-4", "gone"]))
        await callers_waiting(opened, 6)
        gate.opened.set()
        results = await calls

    assert results[:3] + results[4:5] == [numbered(number) for number in (1, 2, 3, 4)]
    assert [type(results[3]), type(results[5])] == [InvalidRequest, OrderNotFound]
    assert results[3].violations[0].field == "order_id"


async def test_a_call_with_its_own_metadata_is_sent_by_itself(server: ScriptedServer, flavour: Flavour) -> None:
    server.behaviour = roads_of(ORDERS)
    async with flavour.opened(flavour.in_memory(server), CLIENT, **COALESCING) as opened:
        own = opened.call("retrieve_order", order_id="order-1", timeout=60, metadata=[("x-own", "yes")])
        other = opened.call("retrieve_order", order_id="order-2", timeout=60)
        results = await asyncio.gather(own, other)

    assert [*results] == [numbered(1), numbered(2)]
    assert single_requests(server) == ["order-1"]
    assert batches(server) == [["order-2"]]
    assert ["x-own" in one.metadata for one in server.received if one.rpc == "BatchRetrieveOrders"] == [False]


async def test_a_batch_has_the_ticket_of_the_client_and_no_metadata_of_its_callers(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.behaviour = roads_of(ORDERS)
    async with flavour.opened(
        flavour.in_memory(server), CLIENT, **COALESCING, ticket=lambda service: f"for {service}"
    ) as opened:
        with call_context(deadline=time.monotonic() + 60, request_id="incoming"):
            await opened.call("retrieve_order", order_id="order-1")

    assert server.received[0].metadata["x-ya-service-ticket"] == "for toll-roads"
    assert "x-request-id" not in server.received[0].metadata


async def test_a_call_after_the_deadline_of_its_incoming_call_is_not_sent(
    server: ScriptedServer, flavour: Flavour
) -> None:
    with call_context(deadline=time.monotonic() - 1), pytest.raises(CallTimedOut):
        await flavour.call(flavour.in_memory(server), CLIENT, "retrieve_order", {"order_id": "order-1"}, **COALESCING)

    assert server.received == []


async def test_a_caller_with_a_short_deadline_fails_alone(server: ScriptedServer, flavour: Flavour) -> None:
    server.behaviour = gate = Gate(roads_of(ORDERS))
    async with flavour.opened(server.target, CLIENT, **COALESCING) as opened:
        patient = asyncio.create_task(retrieve(opened, ["order-1", "order-1", "order-2"]))
        await received(server, 1)
        hasty = await retrieve(opened, ["order-1", "order-2", "order-3"], timeout=0.1)
        gate.opened.set()
        assert await patient == [numbered(1), numbered(1), numbered(2)]

    assert [type(result) for result in hasty] == [CallTimedOut] * 3


async def test_a_cancelled_caller_does_not_affect_the_others(server: ScriptedServer) -> None:
    server.behaviour = gate = Gate(roads_of(ORDERS))
    async with AsyncTollRoadsClient(server.target, **COALESCING) as client:
        calls = [
            asyncio.create_task(client.retrieve_order(order_id=f"order-{number % 5}", timeout=60))
            for number in range(40)
        ]
        await received(server, 1)
        for call in calls[::2]:
            call.cancel()
        gate.opened.set()
        results = await asyncio.gather(*calls, return_exceptions=True)

    for number, result in enumerate(results):
        if number % 2:
            assert result == numbered(number % 5)
        else:
            assert isinstance(result, asyncio.CancelledError)
