"""What is repeated, how often, and after which wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from ridehail_clients import (
    AsyncTollRoadsClient,
    CallTimedOut,
    ClientClosed,
    Overloaded,
    RetryPolicy,
    ServiceError,
    TransportUnavailable,
)
from ridehail_clients.calls.retry import is_retryable, retry_rules
from ridehail_clients.errors import BreakerOpen
from tests.clients.flavours import ASYNCIO, Flavour
from tests.clients.scripted_server import Reply, ScriptedServer, fail, info, reply, retry_after
from tests.support.waiting import LIMIT_S

CLIENT = "TollRoadsClient"
RETRIEVE = (CLIENT, "retrieve_order", {"order_id": "order", "timeout": 60})
SOON = RetryPolicy(initial_backoff_s=0.001)

UNAVAILABLE = fail(grpc.StatusCode.UNAVAILABLE)
TRANSIENT: dict[str, Reply] = {
    "unavailable": UNAVAILABLE,
    "unavailable, with its reason": fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(0.001)),
    "overloaded, with a retry delay": fail(grpc.StatusCode.RESOURCE_EXHAUSTED, info("OVERLOADED"), retry_after(0.001)),
    "cancelled by the server": fail(grpc.StatusCode.CANCELLED),
    "the server ran out of the attempt's time": fail(grpc.StatusCode.DEADLINE_EXCEEDED, info("DEADLINE_EXCEEDED")),
}
PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
LASTING = [fail(code) for code in grpc.StatusCode if code not in {grpc.StatusCode.OK, *PASSING}]


async def test_what_may_pass_is_repeated_and_what_lasts_is_not(server: ScriptedServer, flavour: Flavour) -> None:
    """Over a real wire: both flavours of gRPC report failures in their own way."""
    async with flavour.opened(server.target, CLIENT, retry=SOON, attempt_timeout=60) as opened:
        for why, failure in TRANSIENT.items():
            server.reset()
            server.script(failure, reply())
            await opened.call("retrieve_order", order_id="order", timeout=60)
            assert len(server.received) == 2, why
        # Exhausted, without a retry delay: it may be a limit that stays.
        for failure in [*LASTING, fail(grpc.StatusCode.RESOURCE_EXHAUSTED)]:
            server.reset()
            server.script(failure)
            with pytest.raises(ServiceError) as raised:
                await opened.call("retrieve_order", order_id="order", timeout=60)
            assert len(server.received) == 1, raised.value


@pytest.mark.parametrize("attempts", [1, 3, 5])
async def test_the_policy_limits_the_attempts_and_the_last_error_is_raised(
    server: ScriptedServer, flavour: Flavour, attempts: int
) -> None:
    early = [fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"))] * (attempts - 1)
    server.script(*early, fail(grpc.StatusCode.RESOURCE_EXHAUSTED, info("OVERLOADED"), retry_after(0)))

    with pytest.raises(Overloaded):
        await flavour.call(
            flavour.in_memory(server), *RETRIEVE, retry=RetryPolicy(attempts=attempts, initial_backoff_s=0.001)
        )

    assert len(server.received) == attempts


async def test_three_attempts_by_default(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(UNAVAILABLE)

    with pytest.raises(TransportUnavailable):
        await flavour.call(flavour.in_memory(server), *RETRIEVE)

    assert len(server.received) == 3


async def test_an_attempt_without_a_response_in_its_time_is_repeated(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(server.hang, reply())
    # On a busy machine further attempts may be too short as well.
    often = RetryPolicy(attempts=100, initial_backoff_s=0.001)

    await flavour.call(server.target, *RETRIEVE, retry=often, attempt_timeout=0.3)

    assert len(server.received) >= 2


async def test_cancelling_the_caller_reaches_the_server_and_is_not_repeated(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with AsyncTollRoadsClient(server.target, attempt_timeout=60) as client:
        call = asyncio.create_task(client.retrieve_order(order_id="order", timeout=60))
        assert await asyncio.to_thread(server.first_received.wait, LIMIT_S)

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(server.hanging_ended.wait, LIMIT_S)
    assert len(server.received) == 1


async def test_cancelling_the_caller_between_two_attempts_ends_the_call(server: ScriptedServer) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(20)))
    client = AsyncTollRoadsClient(ASYNCIO.in_memory(server))
    call = asyncio.create_task(client.retrieve_order(order_id="order", timeout=60))
    while not server.received:
        await asyncio.sleep(0)
    assert not call.done()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(server.received) == 1


def test_only_what_may_pass_of_the_call_itself_is_repeated() -> None:
    for error in (asyncio.CancelledError(), KeyboardInterrupt(), ValueError()):
        assert not is_retryable(error)
    for code in grpc.StatusCode:
        assert is_retryable(ServiceError(code, retry_after=1.0)) == (code in PASSING), code
        assert is_retryable(ServiceError(code)) == (code in PASSING - {grpc.StatusCode.RESOURCE_EXHAUSTED}), code
    assert is_retryable(TransportUnavailable(grpc.StatusCode.UNAVAILABLE))
    assert is_retryable(CallTimedOut(grpc.StatusCode.DEADLINE_EXCEEDED))
    assert not is_retryable(ClientClosed(grpc.StatusCode.CANCELLED))
    assert not is_retryable(BreakerOpen(grpc.StatusCode.UNAVAILABLE))


def _wait(policy: RetryPolicy, attempt: int, error: ServiceError) -> float:
    rules = retry_rules(policy, idempotent=True, time_left=60, is_open=lambda: True)
    state = tenacity.RetryCallState(tenacity.Retrying(**rules), None, (), {})
    state.attempt_number = attempt
    state.set_exception((type(error), error, None))
    return rules["wait"](state)


@given(
    attempt=st.integers(1, 20),
    initial=st.floats(0, 1),
    longest=st.floats(0, 2),
    requested=st.none() | st.floats(0, 5),
    jitter=st.booleans(),
)
def test_a_wait_is_as_long_as_the_server_asks_and_otherwise_within_the_backoff(
    attempt: int, initial: float, longest: float, requested: float | None, jitter: bool
) -> None:
    policy = RetryPolicy(initial_backoff_s=initial, max_backoff_s=longest, jitter=jitter)
    error = ServiceError(grpc.StatusCode.UNAVAILABLE, retry_after=requested)
    backoff = min(initial * 2 ** (attempt - 1), longest)

    wait = _wait(policy, attempt, error)

    least = requested or 0.0
    assert least <= wait <= max(least, backoff) + 1e-9
    if not jitter:
        assert wait == pytest.approx(max(least, backoff))


def test_waits_are_drawn_so_that_callers_do_not_come_back_together() -> None:
    error = ServiceError(grpc.StatusCode.UNAVAILABLE)

    waits = {_wait(RetryPolicy(initial_backoff_s=1, max_backoff_s=1), 1, error) for _ in range(50)}

    assert len(waits) > 40


@pytest.mark.parametrize(
    "build",
    [
        lambda: RetryPolicy(attempts=0),
        lambda: RetryPolicy(initial_backoff_s=-1),
        lambda: RetryPolicy(max_backoff_s=-1),
    ],
    ids=["no attempt", "negative first wait", "negative longest wait"],
)
def test_a_policy_that_makes_no_sense_is_refused(build: Callable[[], RetryPolicy]) -> None:
    with pytest.raises(ValueError, match="must"):
        build()
