from __future__ import annotations

import time

import pytest

from ridehail_clients import CallTimedOut, RetryPolicy
from ridehail_clients.call_context import call_context, remaining, request_id
from ridehail_clients.contract import method_contract
from tests.clients.flavours import Flavour
from tests.clients.rpcs import Rpc, all_rpcs
from tests.clients.scripted_server import ScriptedServer

every_rpc = pytest.mark.parametrize("rpc", all_rpcs(), ids=lambda rpc: rpc.name)
# The server counts its own time; the two clocks are read a moment apart.
SLACK = 0.02
RETRIEVE = ("TollRoadsClient", "retrieve_order")


@every_rpc
async def test_a_call_ends_by_the_deadline_of_its_contract(server: ScriptedServer, flavour: Flavour, rpc: Rpc) -> None:
    deadline = method_contract(rpc.descriptor).deadline

    await flavour.call(server.target, rpc.client, rpc.method, rpc.example)

    assert deadline * 0.5 < server.received[0].time_remaining <= deadline + SLACK


@every_rpc
async def test_an_attempt_that_can_be_repeated_ends_by_the_attempt_timeout_of_its_contract(
    server: ScriptedServer, flavour: Flavour, rpc: Rpc
) -> None:
    contract = method_contract(rpc.descriptor)

    # A slow machine may miss the first attempt of a tenth of a second; any attempt will do.
    await flavour.call(
        server.target, rpc.client, rpc.method, rpc.example, retry=RetryPolicy(attempts=10), attempt_timeout=None
    )

    limit = contract.attempt_timeout if contract.idempotent else contract.deadline
    assert 0 < server.received[-1].time_remaining <= limit + SLACK


async def test_a_timeout_replaces_the_deadline_of_the_contract(server: ScriptedServer, flavour: Flavour) -> None:
    await flavour.call(server.target, *RETRIEVE, {"order_id": "order", "timeout": 7})

    assert 1 < server.received[0].time_remaining <= 7 + SLACK


@every_rpc
async def test_a_call_made_while_handling_another_ends_by_the_deadline_of_that(
    server: ScriptedServer, flavour: Flavour, rpc: Rpc
) -> None:
    with call_context(deadline=time.monotonic() + 0.5):
        await flavour.call(server.target, rpc.client, rpc.method, rpc.example | {"timeout": 30})

    assert 0 < server.received[0].time_remaining <= 0.5 + SLACK


async def test_no_call_is_sent_when_the_incoming_one_is_late_already(server: ScriptedServer, flavour: Flavour) -> None:
    with call_context(deadline=time.monotonic() - 1), pytest.raises(CallTimedOut):
        await flavour.call(server.target, *RETRIEVE, {"order_id": "order"})

    assert server.received == []


async def test_a_server_that_never_answers_costs_no_more_than_the_deadline(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(server.hang)
    policy = RetryPolicy(attempts=1000, initial_backoff_s=0.001)
    begun = time.monotonic()

    with pytest.raises(CallTimedOut):
        await flavour.call(
            server.target, *RETRIEVE, {"order_id": "order", "timeout": 0.5}, retry=policy, attempt_timeout=0.1
        )

    assert 0.4 < time.monotonic() - begun < 2
    assert 2 <= len(server.received) <= 6


async def test_the_one_attempt_of_a_call_that_is_not_safe_to_repeat_gets_the_whole_time(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(server.hang)
    begun = time.monotonic()

    with pytest.raises(CallTimedOut):
        await flavour.call(
            server.target,
            "OrderCoreClient",
            "set_order_fields",
            {"order_id": "order", "call_processing": True, "timeout": 0.4},
            attempt_timeout=0.05,
        )

    assert time.monotonic() - begun >= 0.39
    assert len(server.received) == 1


def test_the_earlier_of_nested_deadlines_wins_and_what_is_not_given_stays() -> None:
    assert (remaining(), request_id()) == (None, None)
    now = time.monotonic()

    with call_context(deadline=now + 10, request_id="outer"):
        with call_context(deadline=now + 100):
            assert request_id() == "outer"
            later = remaining()
        with call_context(deadline=now + 5, request_id="inner"):
            assert request_id() == "inner"
            earlier = remaining()
        assert request_id() == "outer"

    assert later is not None
    assert 5 < later <= 10
    assert earlier is not None
    assert earlier <= 5
    assert (remaining(), request_id()) == (None, None)
