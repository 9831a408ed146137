"""Work is put off as far as there is room, by no more workers than allowed, and ends within a bound."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ridehail_kernel import call_context
from ridehail_servers.api_proxy.personal_state.comparison_queue import ComparisonQueue
from tests.support import virtual_time


@dataclass
class Bench:
    """A queue of numbers, and what became of them."""

    capacity: int = 3
    workers: int = 2
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    done: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=lambda: [0])
    busy: int = 0
    most_busy: int = 0
    left: list[float | None] = field(default_factory=list)

    def queue(self) -> ComparisonQueue[int]:
        return ComparisonQueue(
            self._work,
            dropped=self.dropped.append,
            capacity=lambda: self.capacity,
            workers=lambda: self.workers,
            report_waiting=self.waiting.append,
        )

    async def _work(self, item: int) -> None:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        self.left.append(call_context.remaining())
        try:
            await self.gate.wait()
            self.done.append(item)
        finally:
            self.busy -= 1


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_finds_no_room_is_dropped_and_nobody_waits() -> None:
    bench = Bench(capacity=3, workers=2)
    queue = bench.queue()
    for item in range(2):
        queue.offer(item)
    await settled()  # both are under way, and do not wait any more
    for item in range(2, 10):
        queue.offer(item)
    assert bench.dropped == [5, 6, 7, 8, 9]
    assert bench.waiting[-1] == 3
    bench.gate.set()
    await queue.close(within=10)
    assert sorted(bench.done) == [0, 1, 2, 3, 4]
    assert bench.most_busy == 2
    assert bench.waiting[-1] == 0


async def test_without_room_everything_is_dropped() -> None:
    bench = Bench(capacity=0)
    queue = bench.queue()
    queue.offer(1)
    await queue.close(within=10)
    assert (bench.done, bench.dropped) == ([], [1])


async def test_the_limits_may_change_meanwhile() -> None:
    bench = Bench(capacity=100, workers=1)
    queue = bench.queue()
    for item in range(10):
        queue.offer(item)
    await settled()
    assert bench.busy == 1
    bench.workers = 4
    for item in range(10, 14):
        queue.offer(item)
    await settled()
    assert bench.busy == 4
    bench.workers, bench.capacity = 1, 5
    queue.offer(14)
    assert bench.dropped == [14]
    bench.gate.set()
    await settled()
    await queue.close(within=10)
    assert sorted(bench.done) == list(range(14))


def test_the_end_comes_within_its_bound_and_what_is_left_is_dropped() -> None:
    async def main() -> None:
        bench = Bench(capacity=10, workers=2)
        queue = bench.queue()
        for item in range(6):
            queue.offer(item)
        await settled()
        await queue.close(within=2.5)
        assert asyncio.get_running_loop().time() == 2.5
        assert bench.done == []
        assert sorted(bench.dropped) == list(range(6))
        assert bench.busy == 0
        queue.offer(7)
        assert bench.dropped[-1] == 7

    virtual_time.run(main())


def test_an_end_that_has_nothing_to_wait_for_does_not_wait() -> None:
    async def main() -> None:
        bench = Bench()
        bench.gate.set()
        queue = bench.queue()
        queue.offer(1)
        await queue.close(within=60)
        assert asyncio.get_running_loop().time() == 0
        assert (bench.done, bench.dropped) == ([1], [])

    virtual_time.run(main())


async def test_the_deadline_of_the_call_that_offers_is_not_the_works() -> None:
    bench = Bench()
    bench.gate.set()
    queue = bench.queue()
    with call_context.call_context(deadline=time.monotonic() + 0.001, request_id="request"):
        queue.offer(1)
    await queue.close(within=10)
    assert bench.left == [None]


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.sampled_from(["offer", "offer", "offer", "turn", "open", "shut"]), max_size=60),
    capacity=st.integers(0, 4),
    workers=st.integers(1, 3),
)
def test_everything_is_done_once_or_dropped_once(steps: list[str], capacity: int, workers: int) -> None:
    async def run() -> None:
        bench = Bench(capacity=capacity, workers=workers)
        queue, offered = bench.queue(), 0
        for step in steps:
            match step:
                case "offer":
                    queue.offer(offered)
                    offered += 1
                case "turn":
                    await asyncio.sleep(0)
                case "open":
                    bench.gate.set()
                case "shut":
                    bench.gate.clear()
            assert bench.waiting[-1] <= capacity
        bench.gate.set()
        await queue.close(within=10)
        assert sorted([*bench.done, *bench.dropped]) == list(range(offered))
        assert bench.most_busy <= workers

    asyncio.run(run())
