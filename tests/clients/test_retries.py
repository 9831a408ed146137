from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import grpc
import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from ridehail_clients import (
    AsyncTollRoadsClient,
    CallTimedOut,
    DatabaseUnavailable,
    DeadlineExceeded,
    Overloaded,
    RetryPolicy,
    ServiceError,
)
from ridehail_clients.retry import is_retryable, retry_rules
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import Answer, ScriptedServer, fail, info, reply, retry_after

RETRIEVE = ("TollRoadsClient", "retrieve_order", {"order_id": "order", "timeout": 10})
UPDATE = ("OrderCoreClient", "set_order_fields", {"order_id": "order", "call_processing": True, "timeout": 10})
SOON = RetryPolicy(initial_backoff_s=0.001)

UNAVAILABLE = fail(grpc.StatusCode.UNAVAILABLE)
TRANSIENT = {
    "unavailable": UNAVAILABLE,
    "unavailable, with its reason": fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(0.001)),
    "overloaded, told when to come back": fail(
        grpc.StatusCode.RESOURCE_EXHAUSTED, info("OVERLOADED"), retry_after(0.001)
    ),
    "cancelled by the server": fail(grpc.StatusCode.CANCELLED),
    "the server ran out of the attempt's time": fail(grpc.StatusCode.DEADLINE_EXCEEDED, info("DEADLINE_EXCEEDED")),
}
LASTING = {
    "exhausted, not told when to come back": fail(grpc.StatusCode.RESOURCE_EXHAUSTED),
    **{
        code.name: fail(code)
        for code in grpc.StatusCode
        if code
        not in {
            grpc.StatusCode.OK,
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        }
    },
}


@pytest.mark.parametrize("failure", TRANSIENT.values(), ids=TRANSIENT.keys())
async def test_a_transient_failure_is_repeated(server: ScriptedServer, flavour: Flavour, failure: Answer) -> None:
    server.script(failure, reply())

    await flavour.call(server.target, *RETRIEVE, retry=SOON)

    assert len(server.received) == 2


@pytest.mark.parametrize("failure", LASTING.values(), ids=LASTING.keys())
async def test_a_lasting_failure_is_not_repeated(server: ScriptedServer, flavour: Flavour, failure: Answer) -> None:
    server.script(failure)

    with pytest.raises(ServiceError):
        await flavour.call(server.target, *RETRIEVE, retry=SOON)

    assert len(server.received) == 1


@pytest.mark.parametrize("failure", TRANSIENT.values(), ids=TRANSIENT.keys())
async def test_a_call_that_is_not_safe_to_repeat_is_never_repeated(
    server: ScriptedServer, flavour: Flavour, failure: Answer
) -> None:
    server.script(failure)

    with pytest.raises(ServiceError):
        await flavour.call(server.target, *UPDATE, retry=SOON)

    assert len(server.received) == 1


@pytest.mark.parametrize("attempts", [1, 3, 5])
async def test_the_policy_limits_the_attempts_and_the_last_error_is_raised(
    server: ScriptedServer, flavour: Flavour, attempts: int
) -> None:
    early = [fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"))] * (attempts - 1)
    server.script(*early, fail(grpc.StatusCode.RESOURCE_EXHAUSTED, info("OVERLOADED"), retry_after(0)))

    with pytest.raises(Overloaded):
        await flavour.call(
            server.target,
            *RETRIEVE,
            retry=RetryPolicy(attempts=attempts, initial_backoff_s=0.001),
        )

    assert len(server.received) == attempts


async def test_three_attempts_by_default(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(UNAVAILABLE)

    with pytest.raises(ServiceError):
        await flavour.call(server.target, *RETRIEVE)

    assert len(server.received) == 3


async def test_an_attempt_that_is_not_answered_in_its_time_is_repeated(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(server.hang, reply())

    await flavour.call(server.target, *RETRIEVE, retry=SOON, attempt_timeout=1)

    assert len(server.received) == 2


async def test_the_delay_that_the_server_asks_for_is_kept(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(0.2)), reply())

    await flavour.call(server.target, *RETRIEVE, retry=SOON)

    first, second = server.received
    assert second.at - first.at >= 0.2


async def test_the_backoff_doubles(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(UNAVAILABLE)
    policy = RetryPolicy(attempts=4, initial_backoff_s=0.03, jitter=False)

    with pytest.raises(ServiceError):
        await flavour.call(server.target, *RETRIEVE, retry=policy)

    waits = [later.at - earlier.at for earlier, later in itertools.pairwise(server.received)]
    assert all(wait >= least for wait, least in zip(waits, [0.03, 0.06, 0.12], strict=True))


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(30)), DatabaseUnavailable),
        (fail(grpc.StatusCode.DEADLINE_EXCEEDED, info("DEADLINE_EXCEEDED"), retry_after(30)), DeadlineExceeded),
    ],
    ids=["unavailable", "deadline"],
)
async def test_an_error_is_raised_at_once_when_the_wait_would_outlast_the_call(
    server: ScriptedServer, flavour: Flavour, failure: Answer, raised: type[ServiceError]
) -> None:
    server.script(failure)
    begun = asyncio.get_running_loop().time()

    with pytest.raises(raised):
        await flavour.call(server.target, *RETRIEVE)

    assert asyncio.get_running_loop().time() - begun < 5
    assert len(server.received) == 1


async def test_there_is_no_further_attempt_once_the_time_of_the_call_is_over(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(server.hang)

    with pytest.raises(CallTimedOut):
        await flavour.call(server.target, "TollRoadsClient", "retrieve_order", {"order_id": "order", "timeout": 0.3})

    assert len(server.received) == 1


async def test_cancelling_the_caller_reaches_the_server_and_is_not_repeated(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with AsyncTollRoadsClient(server.target, attempt_timeout=30) as client:
        call = asyncio.create_task(client.retrieve_order(order_id="order", timeout=30))
        assert await asyncio.to_thread(server.first_received.wait, 10)

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(server.hanging_ended.wait, 10)
    assert len(server.received) == 1


async def test_cancelling_the_caller_between_two_attempts_ends_the_call(server: ScriptedServer) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(20)))
    async with AsyncTollRoadsClient(server.target, attempt_timeout=30) as client:
        call = asyncio.create_task(client.retrieve_order(order_id="order", timeout=30))
        assert await asyncio.to_thread(server.first_received.wait, 10)
        done, _ = await asyncio.wait([call], timeout=0.2)
        assert not done

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call
    assert len(server.received) == 1


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), ValueError()], ids=repr)
def test_only_errors_of_the_call_itself_are_repeated(error: BaseException) -> None:
    assert not is_retryable(error)


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
