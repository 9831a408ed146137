"""How a pool's queue is measured, by a clock of the test's own."""

from __future__ import annotations

import contextvars

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail_servers.chassis.connection_load import ConnectionLoad, ConnectionUse, WaitTargets, counted_uses

SIZE = 4
TARGETS = WaitTargets(standing_s=0.02, burst_s=0.1)


class Pool:
    """A pool that lends its connections first come, first served."""

    def __init__(self) -> None:
        self.now = 0.0
        self.load = ConnectionLoad(SIZE, clock=lambda: self.now)
        self.holding: list[ConnectionUse] = []
        self.waiting: list[ConnectionUse] = []

    def enter(self, number: int = 1) -> None:
        for _ in range(number):
            self.waiting.append(self.load.enter())
            self._lend()

    def give_back(self, *, completed: bool = True) -> None:
        self.load.ended(self.holding.pop(0), completed=completed)
        self._lend()

    def give_up(self) -> None:
        self.load.ended(self.waiting.pop(0))

    def hold_each(self, seconds: float) -> None:
        """Makes the mean time of holding a connection as long as that."""
        for _ in range(100):
            self.enter()
            self.now += seconds
            self.give_back()

    def _lend(self) -> None:
        while self.waiting and len(self.holding) < SIZE:
            use = self.waiting.pop(0)
            self.load.lent(use)
            self.holding.append(use)


def test_a_free_connection_is_there_at_once_however_slow_the_database() -> None:
    pool = Pool()
    pool.hold_each(30.0)
    pool.enter(SIZE - 1)

    assert pool.load.expected_wait_s() == 0
    assert pool.load.has_room(TARGETS)


def test_the_wait_is_foreseen_from_the_queue_and_from_how_long_connections_are_held() -> None:
    pool = Pool()
    pool.hold_each(0.04)
    pool.enter(SIZE + 3)

    assert pool.load.expected_wait_s() == pytest.approx(4 * 0.04 / SIZE)


def test_a_connection_on_its_way_to_who_waits_is_not_free() -> None:
    pool = Pool()
    pool.hold_each(0.04)
    pool.enter(SIZE + 1)
    pool.load.ended(pool.holding.pop(), completed=False)  # the pool has not woken up the one that waits yet

    assert pool.load.expected_wait_s() == pytest.approx(0.04 / SIZE)


def test_a_burst_may_wait_longer_than_a_queue_that_stands() -> None:
    pool = Pool()
    pool.hold_each(0.04)
    pool.enter(SIZE + 5)  # the next would wait 60 ms: within the target of a burst alone
    assert pool.load.has_room(TARGETS)

    pool.now += 0.09
    assert pool.load.has_room(TARGETS)
    pool.now += 0.02
    assert not pool.load.has_room(TARGETS)


def test_a_queue_that_was_worked_off_may_burst_again() -> None:
    pool = Pool()
    pool.hold_each(0.04)
    pool.enter(SIZE + 5)
    pool.now += 0.2
    while pool.holding:
        pool.give_back()
    pool.hold_each(0.04)
    pool.enter(SIZE + 5)

    assert pool.load.has_room(TARGETS)


def test_what_a_deadline_leaves_time_for_is_foreseen() -> None:
    pool = Pool()
    pool.hold_each(0.04)
    assert pool.load.can_serve_within(0.001, uses=1)  # a connection is free: it may be fast again

    pool.enter(SIZE + 3)  # the next would wait 40 ms, then hold its connection for 40 ms
    assert pool.load.can_serve_within(0.101, uses=1)
    assert not pool.load.can_serve_within(0.099, uses=1)
    assert not pool.load.can_serve_within(0.101, uses=2)


def test_a_use_that_is_cut_short_is_at_least_as_long_as_it_lasted() -> None:
    pool = Pool()
    pool.hold_each(0.04)
    pool.enter()
    pool.now += 0.001
    pool.give_back(completed=False)
    assert pool.load.hold_s == pytest.approx(0.04)

    pool.enter()
    pool.now += 0.4
    pool.give_back(completed=False)
    assert pool.load.hold_s > 0.08


def test_the_connections_of_each_call_are_counted() -> None:
    pool = Pool()
    outer = contextvars.copy_context()
    uses = outer.run(counted_uses)
    outer.run(pool.enter, 2)
    pool.enter()

    assert uses.number == 2


def test_a_slow_phase_is_forgotten_within_two_dozen_uses() -> None:
    pool = Pool()
    pool.hold_each(0.5)
    for _ in range(24):
        pool.enter()
        pool.now += 0.001
        pool.give_back()

    assert pool.load.hold_s < 0.03


STEPS = st.lists(st.sampled_from(("enter", "give back", "give back early", "give up", "time passes")), max_size=60)


@given(steps=STEPS)
def test_uses_add_up_whatever_happens(steps: list[str]) -> None:
    pool = Pool()
    for step in steps:
        if step == "enter":
            pool.enter()
        elif step == "time passes":
            pool.now += 0.03
        elif step == "give up" and pool.waiting:
            pool.give_up()
        elif step.startswith("give back") and pool.holding:
            pool.give_back(completed=step == "give back")

        assert (pool.load.held, pool.load.waiting) == (len(pool.holding), len(pool.waiting))
        assert pool.load.expected_wait_s() >= 0
        if len(pool.holding) < SIZE:
            assert pool.load.has_room(TARGETS)
