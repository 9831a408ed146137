"""However many calls come, as many are answered as can be, and the others are refused soon. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ridehail_servers.chassis.interceptors import ProcessCalls
from tests.support import virtual_time
from tests.support.simulated_service import POOL_SIZE, Load, SimulatedService

DATABASE_S = 0.04
SECONDS = 4
REFUSED_WITHIN_S = 0.05


def load_of(
    rate: float, *, hold_s: Callable[[float], float], deadline_s: float, uses: int = 1, seconds: float = SECONDS
) -> Load:
    async def run() -> Load:
        service = SimulatedService(ProcessCalls(500, 1), hold_s=hold_s, uses=uses)
        return await service.run(rate, deadline_s=deadline_s, seconds=seconds)

    return virtual_time.run(run())


@pytest.mark.parametrize("times", [1, 2, 8])
@pytest.mark.parametrize(
    ("uses", "deadline_s"),
    [(1, 0.5), (1, 0.15), (1, 2.0), (3, 0.5), (3, 0.2)],
)
def test_goodput_stays_near_the_peak_however_many_calls_come(times: int, uses: int, deadline_s: float) -> None:
    peak = POOL_SIZE / (uses * DATABASE_S)

    load = load_of(times * peak, hold_s=lambda _: DATABASE_S, deadline_s=deadline_s, uses=uses)

    assert load.goodput(1, SECONDS) >= 0.8 * peak
    assert max(load.refused, default=0) <= REFUSED_WITHIN_S
    # Until the first calls have ended nobody knows how long they take.
    assert len([made for made in load.late if made > 1]) <= 0.05 * peak * SECONDS


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("database_s", [0.001, 0.04, 0.2])
def test_a_service_that_is_not_overloaded_refuses_nothing(share: float, database_s: float) -> None:
    rate = share * POOL_SIZE / database_s

    load = load_of(rate, hold_s=lambda _: database_s, deadline_s=1.0, seconds=max(2, 400 / rate))

    assert (load.refused, load.late) == ([], [])


@pytest.mark.parametrize("deadline_s", [0.3, 1.0])
@pytest.mark.parametrize("slow_s", [0.4, 5.0])
def test_goodput_is_back_at_once_after_a_slow_phase(slow_s: float, deadline_s: float) -> None:
    rate = 0.5 * POOL_SIZE / DATABASE_S

    load = load_of(
        rate, hold_s=lambda now: slow_s if 2 < now < 5 else DATABASE_S, deadline_s=deadline_s, uses=1, seconds=10
    )

    # What began to be slow within the slow phase ends by its deadline, or holds its connection until then.
    healed = 5 + deadline_s
    assert load.goodput(healed + 0.5, 10) >= 0.9 * rate
    assert not [made for made in load.late if made > healed + 0.5]


def test_a_slow_service_does_not_throttle_one_with_another_database() -> None:
    async def run() -> tuple[Load, Load]:
        process = ProcessCalls(500, 2)
        slow = SimulatedService(process, hold_s=lambda _: 1.0)
        fast = SimulatedService(process, hold_s=lambda _: DATABASE_S)
        async with asyncio.TaskGroup() as group:
            of_slow = group.create_task(slow.run(1000, deadline_s=2.0, seconds=4))
            of_fast = group.create_task(fast.run(100, deadline_s=0.5, seconds=4))
        return of_slow.result(), of_fast.result()

    of_slow, of_fast = virtual_time.run(run())

    assert len(of_slow.refused) > 3000
    assert (of_fast.refused, of_fast.late) == ([], [])
