"""When a poller polls: pauses, failures, ends."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail_clients import (
    OrderPoller,
    PollingPauses,
    PollingSchedule,
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

    # After a failure half of the pause is drawn here, and a tenth is sure; what the server asks for comes before.
    assert app.slept == pytest.approx([10, 45 + 20 * 0.55, 40 * 0.55, 60 * 0.55, 60 * 0.55, 10, 60 + 20 * 0.55])


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
    assert PollingPauses(interval_s=1, longest_s=300, jitter=0).after(1000, requested=None, drawn=1.0) == 300


def schedule(next_poll_ms: int | None = None, interval_ms: int = 4_000) -> PollingSchedule:
    return PollingSchedule(interval_ms, next_poll_ms, longest_pause_ms=20_000)


async def test_polls_keep_to_the_slots_of_the_server(app_of: Start) -> None:
    app = app_of(random=lambda: 0.9)
    app.responses = [replace(response(), polling_schedule=schedule(one)) for one in (4_000, 3_700, None)]
    app.responses += [response()]
    ended_after(app, 4)
    await app("start", replace(launched(), polling_schedule=schedule(5_100)))

    await app("run")

    # Where the server cannot say, from half to one and a half of its interval; without its interval, the app's own.
    assert app.slept == pytest.approx([5.1, 4.0, 3.7, 4 * 1.4, 10 * 1.16])


async def test_the_time_that_parts_took_to_fetch_is_part_of_the_pause(app: PollingApp) -> None:
    await app("start", replace(launched(), polling_schedule=schedule(4_000)))
    app.now += 1.5
    assert app.poller.pause_s() == pytest.approx(2.5)
    app.now += 100
    assert app.poller.pause_s() == pytest.approx(0.4)
    app.now -= 1_000
    assert app.poller.pause_s() == pytest.approx(4.0)


async def test_after_a_failure_the_pause_is_drawn_from_the_intervals_of_the_server(app_of: Start) -> None:
    drawn = iter([0.0, 1.0, 0.5, 0.5])
    app = app_of(random=lambda: next(drawn))
    app.responses = [DOWN, DOWN, DOWN, DOWN]
    await app("start", replace(launched(), polling_schedule=schedule(4_000)))
    pauses = []
    for _ in range(4):
        with pytest.raises(TransportUnavailable):
            await app("poll_once")
        pauses.append(app.poller.pause_s())

    assert pauses == pytest.approx([8 * 0.1, 16, 20 * 0.55, 20 * 0.55])


@pytest.mark.parametrize("bad", [schedule(-5), schedule(0), schedule(10**9), schedule(1, interval_ms=0)])
def test_a_schedule_that_makes_no_sense_neither_stops_the_app_nor_makes_a_busy_loop(bad: PollingSchedule) -> None:
    assert 0.4 <= PollingPauses().after(0, requested=None, drawn=0.5, schedule=bad) <= 10


@given(st.integers(0, 2_000), st.one_of(st.none(), st.floats(0, 1e9)), st.floats(0, 1), st.integers(1, 3_600_000))
def test_a_pause_is_never_shorter_than_the_servers_and_never_longer_than_both(
    failures: int, requested: float | None, drawn: float, interval_ms: int
) -> None:
    wish = schedule(interval_ms, interval_ms)
    longest = max(20.0, interval_ms / 1_000)
    pause = PollingPauses().after(failures, requested=requested, drawn=drawn, schedule=wish)
    floor = min(requested or 0.0, longest) if failures else 0.0
    assert floor + 0.1 * min(interval_ms / 1_000, longest) <= pause <= floor + longest
