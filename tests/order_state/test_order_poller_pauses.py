"""When a poller polls: pauses, failures, ends."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from ridehail_clients import (
    OrderPoller,
    PollingPauses,
    ServiceError,
    SessionExpired,
    TransportUnavailable,
)
from tests.clients.flavours import ASYNCIO
from tests.order_state.polling_app import PollingApp, Start, launched, order_state, response

TAXI = ("taxi", "order1")
DOWN = TransportUnavailable(grpc.StatusCode.UNAVAILABLE, message="scripted")
EXPIRED = SessionExpired(grpc.StatusCode.UNAUTHENTICATED, "SESSION_EXPIRED", "scripted")


def ended_after(app: PollingApp, pauses: int) -> None:
    app.while_sleeping = lambda slept: app.poller.stop() if slept > pauses else None


async def test_polls_follow_each_other_with_a_drawn_pause(app_of: Start) -> None:
    drawn = iter([0.0, 0.5, 1.0, 0.5])
    app = app_of(random=lambda: next(drawn), pauses=PollingPauses(interval_s=10, longest_s=60, jitter=0.3))
    ended_after(app, 3)
    await app("start", launched())

    await app("run")

    assert app.slept == pytest.approx([7, 10, 13, 10])
    assert len(app.polls) == 3


async def test_while_polls_fail_the_pauses_grow_to_their_limit_and_shrink_again(app_of: Start) -> None:
    app = app_of(pauses=PollingPauses(interval_s=10, longest_s=60))
    throttled = ServiceError(grpc.StatusCode.UNAVAILABLE, retry_after=45.0)
    app.responses = [
        throttled,
        DOWN,
        DOWN,
        DOWN,
        response(),
        ServiceError(grpc.StatusCode.UNAVAILABLE, retry_after=1e9),
    ]
    ended_after(app, 6)
    await app("start", launched())

    await app("run")

    assert app.slept == [10, 45, 40, 60, 60, 10, 60]


async def test_however_long_order_state_is_away_there_is_a_pause(app_of: Start) -> None:
    app = app_of(pauses=PollingPauses(interval_s=0.01, longest_s=0.02, jitter=0.9), random=lambda: 0.0)
    app.responses = [DOWN]
    ended_after(app, 90)
    await app("start", launched())

    await app("run")

    assert min(app.slept) > 0
    assert max(app.slept) <= 0.02


def test_a_blocking_run_ends_at_once_when_its_pause_is_ended() -> None:
    pausing, ending = threading.Event(), threading.Event()

    def sleep(seconds: float) -> None:
        pausing.set()
        assert ending.wait(seconds)

    poller = OrderPoller[int](
        lambda **_request: response(), lambda *_request: 1, sleep=sleep, pauses=PollingPauses(60, 60)
    )
    poller.start(launched())
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(poller.run)
        assert pausing.wait(20)
        poller.stop()
        ending.set()
        assert running.result(20) is None


async def test_a_run_that_is_cancelled_in_its_pause_can_be_run_again() -> None:
    app = PollingApp(ASYNCIO, {})
    cancelled = [True]

    def cancel_once(_pauses: int) -> None:
        if cancelled.pop() if cancelled else False:
            raise asyncio.CancelledError
        app.while_sleeping = lambda pauses: app.poller.stop() if pauses > 3 else None

    app.while_sleeping = cancel_once
    await app("start", launched())

    with pytest.raises(asyncio.CancelledError):
        await app("run")
    assert app.polls == []
    await app("run")

    assert len(app.polls) == 2


async def test_an_error_that_would_only_come_again_ends_the_run_and_leaves_the_orders(app: PollingApp) -> None:
    app.responses = [response(order_state("taxi", "order1")), EXPIRED]
    await app("start", launched())

    with pytest.raises(SessionExpired):
        await app("run")

    assert (len(app.polls), list(app.cards)) == (2, [TAXI])


@pytest.mark.parametrize(
    "values", [{"interval_s": 0}, {"interval_s": 10, "longest_s": 9}, {"jitter": 1.0}, {"jitter": -0.1}]
)
def test_pauses_that_would_make_a_busy_loop_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        PollingPauses(**values)


def test_after_a_thousand_failures_the_pause_is_the_longest() -> None:
    assert PollingPauses(interval_s=1, longest_s=300, jitter=0).after(1000, requested=None, drawn=0.5) == 300
