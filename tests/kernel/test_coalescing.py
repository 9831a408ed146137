"""Shared lookups: every caller gets its own result, and no caller pays for another's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ridehail_kernel import call_context
from ridehail_kernel.coalescing import Coalescer
from tests.support.virtual_time import in_virtual_time, run_by_its_clock


class LookupFailed(Exception):
    """A batch came to grief."""


@dataclass
class Lookups:
    """Looks numbers up: even ones are found, as their square. Each batch ends when it is let go."""

    fail: frozenset[int] = frozenset()
    held: bool = False
    batches: list[list[int]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.batches.append(list(keys))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.held:
                await self.go.wait()
            for _ in range(len(keys) % 3 + 1):
                await asyncio.sleep(0)
            if self.fail & set(keys):
                raise LookupFailed
            return {key: key * key for key in keys if key % 2 == 0}
        finally:
            self.under_way -= 1


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def expected(key: int) -> int | None:
    return key * key if key % 2 == 0 else None


# Each caller: the keys, the turn of the event loop in which it comes, the turn in which it gives up (if ever).
callers = st.lists(
    st.tuples(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(0, 8), st.none() | st.integers(0, 12)),
    min_size=1,
    max_size=60,
)


@given(callers=callers, fail=st.frozensets(st.integers(0, 12), max_size=2), limits=st.tuples(*[st.integers(1, 4)] * 2))
@settings(max_examples=150)
def test_whoever_comes_and_goes_each_caller_gets_the_values_of_their_keys(
    callers: list[tuple[list[int], int, int | None]], fail: frozenset[int], limits: tuple[int, int]
) -> None:
    max_batch, max_concurrent = limits

    async def scenario() -> None:
        lookups = Lookups(fail=fail)
        coalescer = Coalescer(lookups.load, max_batch=max_batch, max_concurrent=max_concurrent)

        async def ask(keys: list[int], comes: int) -> dict[int, int]:
            await turns(comes)
            if len(keys) > 1:
                return await coalescer.get_all(keys)
            value = await coalescer.get(keys[0])
            return {} if value is None else {keys[0]: value}

        async def give_up(task: asyncio.Task[dict[int, int]], goes: int) -> None:
            await turns(goes)
            task.cancel()

        callers_waiting = [asyncio.create_task(ask(keys, comes)) for keys, comes, _goes in callers]
        leaving = [
            give_up(task, goes)
            for task, (_keys, _comes, goes) in zip(callers_waiting, callers, strict=True)
            if goes is not None
        ]
        async with asyncio.timeout(10):
            await asyncio.gather(*leaving)
            results = await asyncio.gather(*callers_waiting, return_exceptions=True)

        for (keys, _comes, goes), result in zip(callers, results, strict=True):
            if isinstance(result, asyncio.CancelledError):
                assert goes is not None
            elif isinstance(result, BaseException):
                assert isinstance(result, LookupFailed)
                assert any(set(keys) & set(batch) and fail & set(batch) for batch in lookups.batches)
            else:
                assert result == {key: key * key for key in keys if key % 2 == 0}
        assert lookups.most_under_way <= max_concurrent
        assert all(0 < len(batch) <= max_batch for batch in lookups.batches)
        assert all(len(batch) == len(set(batch)) for batch in lookups.batches)

    run_by_its_clock(scenario())


async def gathered(coalescer: Coalescer[int, int], keys: Sequence[int]) -> list[asyncio.Task[int | None]]:
    """Asks for keys at once, and waits until all of them are with the coalescer."""
    tasks = [asyncio.create_task(coalescer.get(key)) for key in keys]
    await turns(3)
    return tasks


@in_virtual_time
async def test_a_lone_lookup_waits_for_nobody() -> None:
    lookups = Lookups()
    assert await Coalescer(lookups.load).get(4) == 16
    assert lookups.batches == [[4]]


@in_virtual_time
async def test_keys_that_come_while_batches_are_under_way_share_the_next_one() -> None:
    lookups = Lookups(held=True)
    coalescer = Coalescer(lookups.load, max_concurrent=1)
    first = await gathered(coalescer, [0])
    rest = await gathered(coalescer, [*range(1, 100), *range(1, 100)])
    lookups.go.set()
    assert await asyncio.gather(*first, *rest) == [expected(key) for key in [0, *range(1, 100), *range(1, 100)]]
    assert lookups.batches == [[0], list(range(1, 100))]


@in_virtual_time
async def test_lookups_of_several_keys_share_batches_as_well() -> None:
    lookups = Lookups(held=True)
    coalescer = Coalescer(lookups.load, max_concurrent=1)
    first = await gathered(coalescer, [0])
    rest = [asyncio.create_task(coalescer.get_all(keys)) for keys in ([1, 2, 4], [4, 6], [2])]
    await turns(3)
    lookups.go.set()
    assert await asyncio.gather(*rest) == [{2: 4, 4: 16}, {4: 16, 6: 36}, {2: 4}]
    assert await asyncio.gather(*first) == [0]
    assert lookups.batches == [[0], [1, 2, 4, 6]]


@in_virtual_time
async def test_a_batch_whose_only_caller_has_left_is_cancelled_whole() -> None:
    lookups = Lookups(held=True)
    caller = asyncio.create_task(Coalescer(lookups.load).get_all([2, 4]))
    await turns(3)
    caller.cancel()
    await asyncio.wait([caller])
    await turns(3)
    assert lookups.batches == [[2, 4]]
    assert lookups.under_way == 0


@in_virtual_time
async def test_under_load_keys_gather_for_a_while_before_the_next_batch() -> None:
    lookups = Lookups()
    coalescer = Coalescer(lookups.load, spacing=0.05)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(coalescer.get(0), coalescer.get(2))  # this batch shows that there is a load
    one = asyncio.create_task(coalescer.get(4))
    await turns(10)  # a batch takes fewer
    await asyncio.gather(one, coalescer.get(6))
    assert lookups.batches == [[0, 2], [4, 6]]
    assert asyncio.get_running_loop().time() - began >= 0.05


@in_virtual_time
async def test_without_load_nobody_waits_for_company() -> None:
    lookups = Lookups()
    coalescer = Coalescer(lookups.load, spacing=60)
    async with asyncio.timeout(10):
        for key in (0, 2, 4):
            await coalescer.get(key)
    assert lookups.batches == [[0], [2], [4]]


@in_virtual_time
async def test_a_slow_batch_does_not_hold_up_the_next_one() -> None:
    lookups = Lookups(held=True)
    coalescer = Coalescer(lookups.load, slow_after=0.02)
    first = await gathered(coalescer, [0])
    second = await gathered(coalescer, [2])
    assert lookups.batches == [[0]]
    await asyncio.sleep(0.02)
    await turns(2)
    assert lookups.batches == [[0], [2]]
    lookups.go.set()
    assert await asyncio.gather(*first, *second) == [0, 4]


@in_virtual_time
async def test_a_lookup_is_not_served_by_a_read_from_before_it_began() -> None:
    lookups = Lookups(held=True)
    coalescer = Coalescer(lookups.load)
    first = await gathered(coalescer, [2])
    second = await gathered(coalescer, [2])  # its batch is under way already, and may have been read
    lookups.go.set()
    await asyncio.gather(*first, *second)
    assert lookups.batches == [[2], [2]]


@in_virtual_time
async def test_a_failure_reaches_its_own_batch_only() -> None:
    lookups = Lookups(fail=frozenset({2}))
    coalescer = Coalescer(lookups.load, max_batch=2, max_concurrent=1)
    results = await asyncio.gather(*map(coalescer.get, [0, 2, 4, 6]), return_exceptions=True)
    assert [isinstance(result, LookupFailed) for result in results] == [True, True, False, False]
    assert await coalescer.get(0) == 0  # and the next batch is none the worse for it


@in_virtual_time
async def test_a_caller_who_gives_up_harms_no_other() -> None:
    lookups = Lookups(held=True)
    coalescer = Coalescer(lookups.load)
    waiting = await gathered(coalescer, [2, 2, 4])
    waiting[0].cancel()
    lookups.go.set()
    assert await asyncio.gather(*waiting[1:]) == [4, 16]


@in_virtual_time
async def test_what_nobody_waits_for_any_more_is_not_looked_up() -> None:
    lookups = Lookups(held=True)
    coalescer = Coalescer(lookups.load, max_concurrent=1)
    first = await gathered(coalescer, [0])
    given_up, kept = await gathered(coalescer, [2, 4])
    given_up.cancel()
    await turns(2)
    lookups.go.set()
    assert await asyncio.gather(*first, kept) == [0, 16]
    assert lookups.batches == [[0], [4]]


@in_virtual_time
async def test_no_callers_deadline_or_request_id_binds_a_batch() -> None:
    seen: list[tuple[float | None, str | None]] = []

    async def load(keys: Sequence[int]) -> Mapping[int, int]:
        seen.append((call_context.remaining(), call_context.request_id()))
        return {key: key for key in keys}

    coalescer = Coalescer(load)
    with call_context.call_context(deadline=-1.0, request_id="hasty"):
        assert await coalescer.get(1) == 1
    assert seen == [(None, None)]


@in_virtual_time
async def test_a_lookup_that_is_cancelled_does_not_leave_its_callers_waiting() -> None:
    async def load(_keys: Sequence[int]) -> Mapping[int, int]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await Coalescer(load).get(1)
