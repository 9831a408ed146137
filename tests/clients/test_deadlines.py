"""How long calls and their attempts may take, by a clock that stands still unless something waits."""

from __future__ import annotations

import math
import time

import grpc
import pytest

from ridehail_clients import (
    AsyncOrderCoreClient,
    AsyncTollRoadsClient,
    CallTimedOut,
    DatabaseUnavailable,
    DeadlineExceeded,
    RetryPolicy,
    ServiceError,
)
from ridehail_kernel.call_context import call_context, remaining, request_id
from tests.clients.flavours import ASYNCIO, Flavour
from tests.clients.scripted_server import ScriptedServer, fail, info, retry_after
from tests.support.virtual_time import in_virtual_time

RETRIEVE = ("TollRoadsClient", "retrieve_order")
# Of the server's clock, which gets the time that is left in a message.
ROUNDING_S = 0.02


def never(_request: object) -> float:
    return math.inf


async def test_the_server_is_told_how_long_it_may_take(server: ScriptedServer, flavour: Flavour) -> None:
    await flavour.call(server.target, *RETRIEVE, {"order_id": "order", "timeout": 70}, attempt_timeout=60)

    assert 0 < server.received[0].time_remaining <= 60 + ROUNDING_S


async def test_an_attempt_on_a_wire_ends_by_its_time(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(server.hang)
    once = RetryPolicy(attempts=1)

    # A busy machine may need all of so short a time to connect.
    while not server.received:
        with pytest.raises(CallTimedOut):
            await flavour.call(server.target, *RETRIEVE, {"order_id": "order"}, retry=once, attempt_timeout=0.2)


async def test_no_call_is_sent_when_the_incoming_one_is_late_already(server: ScriptedServer, flavour: Flavour) -> None:
    with call_context(deadline=time.monotonic() - 1), pytest.raises(CallTimedOut):
        await flavour.call(flavour.in_memory(server), *RETRIEVE, {"order_id": "order"})

    assert server.received == []


@in_virtual_time
async def test_a_server_that_never_responds_costs_no_more_than_the_deadline(server: ScriptedServer) -> None:
    policy = RetryPolicy(attempts=1000, initial_backoff_s=0)
    client = AsyncTollRoadsClient(ASYNCIO.in_memory(server, latency=never), retry=policy, attempt_timeout=0.2)

    with pytest.raises(CallTimedOut):
        await client.retrieve_order(order_id="order", timeout=0.5)

    assert time.monotonic() == pytest.approx(0.5)
    assert [one.time_remaining for one in server.received] == pytest.approx([0.2, 0.2, 0.1])


@in_virtual_time
async def test_the_one_attempt_of_a_call_that_is_not_safe_to_repeat_gets_the_whole_time(
    server: ScriptedServer,
) -> None:
    client = AsyncOrderCoreClient(ASYNCIO.in_memory(server, latency=never), attempt_timeout=0.05)

    with pytest.raises(CallTimedOut):
        await client.set_order_fields(order_id="order", call_processing=True, timeout=0.4)

    assert time.monotonic() == pytest.approx(0.4)
    assert [one.time_remaining for one in server.received] == pytest.approx([0.4])


@in_virtual_time
async def test_pauses_double_and_the_one_that_the_server_asks_for_is_kept(server: ScriptedServer) -> None:
    server.script(
        *[fail(grpc.StatusCode.UNAVAILABLE)] * 3,
        fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(2)),
        fail(grpc.StatusCode.NOT_FOUND),
    )
    policy = RetryPolicy(attempts=10, initial_backoff_s=0.03, jitter=False)
    client = AsyncTollRoadsClient(ASYNCIO.in_memory(server), retry=policy)

    with pytest.raises(ServiceError, match="NOT_FOUND"):
        await client.retrieve_order(order_id="order", timeout=10)

    assert [one.at for one in server.received] == pytest.approx([0, 0.03, 0.09, 0.21, 2.21])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, DatabaseUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
    ],
)
@in_virtual_time
async def test_an_error_is_raised_at_once_when_the_wait_would_outlast_the_call(
    server: ScriptedServer, code: grpc.StatusCode, expected: type[ServiceError]
) -> None:
    server.script(fail(code, info(expected.REASON), retry_after(30)))
    client = AsyncTollRoadsClient(ASYNCIO.in_memory(server))

    with pytest.raises(expected):
        await client.retrieve_order(order_id="order", timeout=10)

    assert (time.monotonic(), len(server.received)) == (0, 1)


def test_the_earlier_of_nested_deadlines_wins_and_what_is_not_given_stays() -> None:
    assert (remaining(), request_id()) == (None, None)
    now = time.monotonic()

    with call_context(deadline=now + 1000, request_id="outer"):
        with call_context(deadline=now + 10_000):
            assert request_id() == "outer"
            later = remaining()
        with call_context(deadline=now + 500, request_id="inner"):
            assert request_id() == "inner"
            earlier = remaining()
        assert request_id() == "outer"

    assert later is not None
    assert 500 < later <= 1000
    assert earlier is not None
    assert earlier <= 500
    assert (remaining(), request_id()) == (None, None)
