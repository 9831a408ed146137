"""A dependency that hangs costs its callers' time until it is found, and next to nothing after that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from prometheus_client import REGISTRY

from ridehail_clients import (
    AsyncTollRoadsClient,
    BreakerOpen,
    CallTimedOut,
    OrderNotFound,
    RetryPolicy,
    ServiceError,
    TransportUnavailable,
    open_async_channel,
)
from ridehail_clients.calls import breakers
from ridehail_kernel import call_context
from tests.api_proxy.card.card_harness import card_harness
from tests.clients.scripted_server import ScriptedServer, fail, info, reply, running_server
from tests.support import virtual_time
from tests.support.fault_proxy import hanging
from tests.support.waiting import LIMIT_S, until

RETRIEVE = "/ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
ONCE = RetryPolicy(attempts=1)
NOT_FOUND = fail(grpc.StatusCode.NOT_FOUND, info("ORDER_NOT_FOUND", order_id="order"))
# From the healing of the server to the first trial.
_TRIAL_WITHIN_S = 1.0


@pytest.fixture
def server(sockets: None) -> Iterator[ScriptedServer]:
    with running_server() as running:
        yield running


@dataclass
class Caller:
    """A client of a channel with breakers, and the paths of those that are open."""

    client: AsyncTollRoadsClient
    open: set[str] = field(default_factory=set)

    async def failure(self, *, timeout: float | None = None) -> ServiceError:
        with pytest.raises(ServiceError) as raised:
            await self.client.retrieve_order(order_id="order", timeout=timeout)
        return raised.value

    async def until_open(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not self.open:
                await self.failure()


@asynccontextmanager
async def caller(server: ScriptedServer, *, attempt_timeout: float = 0.1) -> AsyncIterator[Caller]:
    opened: set[str] = set()

    def observe(path: str, /, *, is_open: bool) -> None:
        if is_open:
            opened.add(path)
        else:
            opened.discard(path)

    async with open_async_channel(server.target, breaker_observer=observe) as channel:
        yield Caller(AsyncTollRoadsClient(channel, retry=ONCE, attempt_timeout=attempt_timeout), opened)


async def test_a_method_that_hangs_is_not_called_any_more(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with caller(server) as calls:
        await calls.until_open()
        assert calls.open == {RETRIEVE}

        started, reached = time.monotonic(), len(server.received)
        errors = [await calls.failure() for _ in range(100)]
        trials = len(server.received) - reached

        # The server itself answers pings, so there is a trial every half second.
        assert trials <= 1 + 2 * (time.monotonic() - started)
        refused = [error for error in errors if isinstance(error, BreakerOpen)]
        assert len(refused) == 100 - trials
        assert {error.code for error in refused} == {grpc.StatusCode.UNAVAILABLE}
        assert isinstance(refused[0], TransportUnavailable)


async def test_a_refused_call_is_not_repeated_and_costs_no_time(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with caller(server) as calls:
        await calls.until_open()
        patient = RetryPolicy(attempts=3, initial_backoff_s=60, max_backoff_s=60, jitter=False)
        async with AsyncTollRoadsClient(calls.client._channel, retry=patient, attempt_timeout=0.1) as client:
            with pytest.raises(BreakerOpen):
                await client.retrieve_order(order_id="order", timeout=300)


async def test_other_methods_of_the_server_go_on(server: ScriptedServer) -> None:
    def hang_on_orders(request: object, context: grpc.ServicerContext) -> None:
        if "RetrieveOrder" in type(request).__name__:
            server.hang(context)

    server.behaviour = hang_on_orders
    async with caller(server) as calls:
        await calls.until_open()

        patient = AsyncTollRoadsClient(calls.client._channel, retry=ONCE, attempt_timeout=LIMIT_S)
        for _ in range(20):
            assert await patient.save_offer(offer_id="offer", timeout=LIMIT_S)
        assert calls.open == {RETRIEVE}


async def test_it_is_called_again_after_it_has_healed(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with caller(server) as calls:
        await calls.until_open()

        server.script(reply())
        patient = AsyncTollRoadsClient(calls.client._channel, retry=ONCE, attempt_timeout=LIMIT_S)
        await until(lambda: _succeeds(patient))
        assert not calls.open
        for _ in range(20):
            await patient.retrieve_order(order_id="order", timeout=LIMIT_S)


def test_the_first_trial_comes_soon_after_the_server_has_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        now, healthy = asyncio.get_running_loop().time, asyncio.Event()
        monkeypatch.setattr(breakers, "time", SimpleNamespace(monotonic=now))

        async def ping() -> bool:
            return healthy.is_set()

        of_channel = breakers.Breakers(ping, lambda _path, *, is_open: None)
        breaker = of_channel.of(RETRIEVE)
        for _ in range(5):
            breaker.record_timeout()
        await asyncio.sleep(60)
        with pytest.raises(BreakerOpen):
            breaker.attempt(fair_s=0.1)

        healthy.set()
        await asyncio.sleep(_TRIAL_WITHIN_S)
        with breaker.attempt(fair_s=0.1), pytest.raises(BreakerOpen):
            breaker.attempt(fair_s=0.1)
        assert not breaker.is_open
        of_channel.close()

    virtual_time.run(run())


@pytest.mark.parametrize(
    "answer",
    [
        NOT_FOUND,
        fail(grpc.StatusCode.INVALID_ARGUMENT, info("INVALID_REQUEST")),
        fail(grpc.StatusCode.RESOURCE_EXHAUSTED, info("OVERLOADED")),
        fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE")),
        fail(grpc.StatusCode.UNAVAILABLE),
        fail(grpc.StatusCode.INTERNAL),
    ],
    ids=["not found", "invalid", "overloaded", "unavailable, with its reason", "unavailable", "a defect"],
)
async def test_answers_open_no_breaker(server: ScriptedServer, answer: object) -> None:
    server.replies = [answer]  # type: ignore[list-item]
    async with caller(server, attempt_timeout=LIMIT_S) as calls:
        for _ in range(30):
            await calls.failure(timeout=LIMIT_S)

        assert calls.open == set()
    assert len(server.received) == 30


async def test_an_answer_between_timeouts_keeps_the_breaker_closed(server: ScriptedServer) -> None:
    async with caller(server) as calls:
        patient = AsyncTollRoadsClient(calls.client._channel, retry=ONCE, attempt_timeout=60)
        for _ in range(4):
            server.script(server.hang)
            for _ in range(4):
                assert isinstance(await calls.failure(), CallTimedOut)
            server.script(NOT_FOUND)
            with pytest.raises(OrderNotFound):
                await patient.retrieve_order(order_id="order", timeout=60)

        assert calls.open == set()


async def test_callers_without_time_shut_off_nobody(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with caller(server) as calls:
        for number in range(20):
            with call_context.call_context(deadline=time.monotonic() + (0.02 if number % 2 else -1)):
                assert isinstance(await calls.failure(), CallTimedOut)

        assert calls.open == set()


async def test_callers_who_leave_open_no_breaker_and_block_no_trial(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with caller(server, attempt_timeout=20) as calls:
        for _ in range(10):
            # The contract gives an attempt three seconds.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(calls.client.batch_retrieve_orders(order_ids=["order"], timeout=20), 0.05)
        assert calls.open == set()

    async with caller(server) as calls:
        await calls.until_open()
        # Trials whose callers leave.
        for _ in range(60):
            call = asyncio.create_task(calls.client.retrieve_order(order_id="order"))
            await asyncio.sleep(0.02)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

        server.script(reply())
        patient = AsyncTollRoadsClient(calls.client._channel, retry=ONCE, attempt_timeout=LIMIT_S)
        await until(lambda: _succeeds(patient))
        assert calls.open == set()


async def test_callers_who_waited_long_enough_count_when_they_leave(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with caller(server, attempt_timeout=20) as calls, asyncio.timeout(LIMIT_S):
        while not calls.open:
            leaving = asyncio.wait_for(calls.client.retrieve_order(order_id="order", timeout=20), 0.1)
            await asyncio.gather(leaving, return_exceptions=True)

        assert calls.open == {RETRIEVE}


async def _succeeds(client: AsyncTollRoadsClient) -> bool:
    try:
        await client.retrieve_order(order_id="order", timeout=LIMIT_S)
    except ServiceError:
        return False
    return True


async def test_lookups_that_share_calls_share_the_breaker(server: ScriptedServer) -> None:
    server.script(server.hang)
    opened: list[bool] = []

    def observe(_path: str, /, *, is_open: bool) -> None:
        opened.append(is_open)

    async with open_async_channel(server.target, breaker_observer=observe) as channel:
        client = AsyncTollRoadsClient(channel, coalesce=True)
        async with asyncio.timeout(LIMIT_S):
            while not opened:
                await asyncio.gather(client.retrieve_order(order_id="order", timeout=0.1), return_exceptions=True)
            refused = 0
            while refused < 20:
                error = (await asyncio.gather(client.retrieve_order(order_id="order"), return_exceptions=True))[0]
                refused += isinstance(error, BreakerOpen)
        await client.close()


def breakers_open(dependency: str) -> float:
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        if metric.name == "ridehail_breakers_open"
        for sample in metric.samples
        if sample.labels["dependency"] == dependency
    )


async def test_a_card_does_not_wait_for_a_dependency_that_is_known_to_hang(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    async with card_harness(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as harness:
        order = await harness.make_order()

        async def is_whole() -> bool:
            return "toll_road" in await harness.card(order)

        await until(is_whole)
        harness.faults.fail(hanging, "TollRoadsService")

        async def is_found() -> bool:
            assert "toll_road" not in await harness.card(order)
            return breakers_open("toll-roads") == 1

        await until(is_found)
        started, reached = time.monotonic(), harness.faults.called.count("TollRoadsService/BatchRetrieveOrders")
        for _ in range(20):
            assert (await harness.card(order))["status"] == "driving"
        trials = harness.faults.called.count("TollRoadsService/BatchRetrieveOrders") - reached
        assert trials <= 1 + 2 * (time.monotonic() - started)

        harness.faults.heal()

        await until(is_whole)
        assert breakers_open("toll-roads") == 0
        labels = {
            "service": "api-proxy",
            "dependency": "toll-roads",
            "grpc_method": "ridehail.tollroads.v1.TollRoadsService/BatchRetrieveOrders",
        }
        assert REGISTRY.get_sample_value("ridehail_breakers_open", labels) == 0
