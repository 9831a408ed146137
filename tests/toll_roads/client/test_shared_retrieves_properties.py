"""Shared batches in any mixture of callers, failures and cancellations."""

from __future__ import annotations

import asyncio
import string
from typing import Any

import grpc
import protovalidate
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import (
    CallTimedOut,
    InvalidRequest,
    OrderNotFound,
    RetryPolicy,
    ServiceError,
    TransportUnavailable,
)
from ridehail_clients._async.shared_calls import may_share
from tests.clients.flavours import ASYNCIO, Flavour, Opened
from tests.clients.scripted_server import ScriptedServer, fail, info
from tests.support.virtual_time import run_by_its_clock
from tests.toll_roads.client.scripted_toll_roads import numbered, roads_of
from tests.toll_roads.client.shared_callers import CLIENT, COALESCING, ORDERS

FAILURES = {
    "transient": fail(grpc.StatusCode.UNAVAILABLE),
    "lasting": fail(grpc.StatusCode.INTERNAL),
    "incomplete": lambda _context: api.BatchRetrieveOrdersResponse(),
    "refused": fail(grpc.StatusCode.INVALID_ARGUMENT, info("INVALID_REQUEST")),
}
SLOW_S = 0.02
# The fate of each batch, in the order of arrival; those after them succeed.
fates = st.lists(st.sampled_from(["well", "slowly", *FAILURES]), max_size=6)
# Callers: the number of the order (unknown from 30 on, 40 is a bad id), when they call and when they give up (ms).
callers = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 30), st.none() | st.integers(1, 40)), min_size=1, max_size=25
)


def order_id_of(number: int) -> str:
    return "\x00" if number == 40 else f"order-{number}"


def is_right(number: int, result: Any, fates: list[str], *, gives_up: bool) -> bool:
    """Returns whether a caller got a result that is allowed for it."""
    if isinstance(result, asyncio.CancelledError | CallTimedOut):
        return gives_up
    if number == 40:
        # A bad id is sent by itself, to a server that refuses it whatever the fates of the batches.
        return isinstance(result, InvalidRequest)
    if number < 30 and result == numbered(number):
        return True
    if number >= 30 and isinstance(result, OrderNotFound):
        return bool(result.metadata == {"order_id": order_id_of(number)})
    # Three attempts that fail one after the other, or one that fails for good.
    may_fail = fates.count("transient") >= 3 or "lasting" in fates
    return type(result) in {ServiceError, TransportUnavailable} and may_fail


class Service:
    """Responds to batches by their fates."""

    def __init__(self, fates: list[str]) -> None:
        self._coming = iter(fates)
        self._response = roads_of(ORDERS[:30])
        self._fates: dict[bytes, str] = {}

    def latency(self, request: Message) -> float:
        if not isinstance(request, api.BatchRetrieveOrdersRequest):
            return 0.0
        fate = self._fates[request.SerializeToString()] = next(self._coming, "well")
        return SLOW_S if fate == "slowly" else 0.0

    def __call__(self, request: Any, context: grpc.ServicerContext) -> Message | None:
        if isinstance(request, api.RetrieveOrderRequest):
            if request.order_id == "\x00":
                request.order_id = "bad"
            return self._response(request, context)
        fate = self._fates.get(request.SerializeToString(), "well")
        return FAILURES[fate](context) if fate in FAILURES else self._response(request, context)


async def look_up(flavour: Flavour, opened: Opened, number: int, comes_ms: int, goes_ms: int | None) -> Any:
    await asyncio.sleep(comes_ms / 1000)
    timeout = 60 if goes_ms is None else goes_ms / 1000
    cancelled = goes_ms is not None and goes_ms % 2 == 0 and flavour is ASYNCIO
    calling = opened.call("retrieve_order", order_id=order_id_of(number), timeout=60 if cancelled else timeout)
    if not cancelled:
        return await calling
    task = asyncio.ensure_future(calling)
    await asyncio.sleep(timeout)
    task.cancel()
    return await task


def test_each_caller_gets_its_own_result_whatever_happens_to_batches_and_callers(flavour: Flavour) -> None:
    @settings(max_examples=100 if flavour is ASYNCIO else 15)
    @given(callers=callers, fates=fates)
    def check(callers: list[tuple[int, int, int | None]], fates: list[str]) -> None:
        service = Service(fates)
        channel = flavour.in_memory(ScriptedServer(behaviour=service), latency=service.latency)

        async def scenario() -> list[Any]:
            policy = RetryPolicy(initial_backoff_s=0.001)
            async with flavour.opened(channel, CLIENT, **COALESCING, retry=policy) as opened:
                calls = (look_up(flavour, opened, *caller) for caller in callers)
                return await asyncio.gather(*calls, return_exceptions=True)

        results = run_by_its_clock(scenario()) if flavour is ASYNCIO else asyncio.run(scenario())
        for (number, _comes, goes), result in zip(callers, results, strict=True):
            assert is_right(number, result, fates, gives_up=goes is not None), (number, goes, result)

    check()


# Characters of every kind, and all ASCII ones twice as often.
ids = st.text(st.characters() | st.sampled_from([*string.printable]), max_size=140)


@settings(max_examples=200)
@given(order_id=ids)
def test_no_id_that_the_contract_refuses_is_sent_in_a_batch(order_id: str) -> None:
    if may_share(order_id):
        protovalidate.validate(api.RetrieveOrderRequest(order_id=order_id))
