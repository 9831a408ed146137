"""The cache of last known roads: the newest of overlapping responses stays, however many share the cache."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import cachetools
from hypothesis import example, given
from hypothesis import strategies as st

from ridehail_clients import OrderRoad
from ridehail_clients.road_fallback import RoadFallback
from tests.toll_roads.client.scripted_toll_roads import NOON

KNOWN = OrderRoad("order", has_toll_road=True, can_switch_road=True, created=NOON)


def road(*, has_toll_road: bool = True, created: datetime | None = NOON) -> OrderRoad:
    return replace(KNOWN, has_toll_road=has_toll_road, created=created)


def test_an_evicted_road_is_unknown() -> None:
    seconds = [0.0]
    cache: cachetools.TTLCache[str, OrderRoad] = cachetools.TTLCache(10, 60, timer=lambda: seconds[0])
    RoadFallback(cache, "order").remember(KNOWN)
    assert RoadFallback(cache, "order").last_known() == replace(KNOWN, stale=True)

    seconds[0] = 61

    assert RoadFallback(cache, "order").last_known() is None


timestamps = st.none() | st.integers(0, 5).map(lambda minutes: NOON + timedelta(minutes=minutes))


@example(
    kept=road(created=NOON + timedelta(minutes=1)),
    responses=[(NOON, False), (NOON + timedelta(minutes=1), True), (NOON, False)],
)
@given(
    kept=st.none() | timestamps.map(lambda created: road(created=created)),
    responses=st.lists(st.tuples(timestamps, st.booleans()), max_size=8),
)
def test_the_newest_of_overlapping_responses_stays_in_whatever_order_they_arrive(
    kept: OrderRoad | None, responses: list[tuple[datetime | None, bool]]
) -> None:
    cache = {} if kept is None else {"order": kept}
    overlapping = [RoadFallback(cache, "order") for _ in responses]
    roads = [road(created=created, has_toll_road=has_toll_road) for created, has_toll_road in responses]

    for fallback, response in zip(overlapping, roads, strict=True):
        fallback.remember(response)

    if not roads:
        assert cache == ({} if kept is None else {"order": kept})
        return
    assert cache["order"] in roads  # never the road known before any of them
    assert not cache["order"].stale
    created = [response.created for response in roads]
    dated = [timestamp for timestamp in created if timestamp is not None]
    # One that equals the road known before cannot be told from it: nothing came in the meantime, for all that is seen.
    if len(dated) == len(created) and kept not in roads:
        assert cache["order"].created == max(dated)
    if not dated:
        assert cache["order"] == roads[-1]


def test_an_order_that_another_call_found_meanwhile_stays_cached() -> None:
    cache: dict[str, OrderRoad] = {}
    before_saving, after_saving = RoadFallback(cache, "order"), RoadFallback(cache, "order")

    after_saving.remember(KNOWN)
    before_saving.forget()

    assert cache == {"order": KNOWN}


class SingleThreadedCache(dict[str, OrderRoad]):
    """A slow cache that is not thread-safe."""

    def __init__(self) -> None:
        super().__init__()
        self.users = 0
        self.most_users = 0

    @contextmanager
    def use(self) -> Iterator[None]:
        self.users += 1
        self.most_users = max(self.most_users, self.users)
        time.sleep(0.001)
        self.users -= 1
        yield

    def get(self, order_id: str, default: Any = None, /) -> Any:  # as `dict` has it
        found = super().get(order_id, default)
        with self.use():
            return found

    def __setitem__(self, order_id: str, road: OrderRoad, /) -> None:
        with self.use():
            super().__setitem__(order_id, road)

    def pop(self, order_id: str, default: Any = None, /) -> Any:  # as `dict` has it
        with self.use():
            return super().pop(order_id, default)


def test_threads_that_share_a_cache_use_it_one_at_a_time_and_leave_the_newest_response() -> None:
    cache = SingleThreadedCache()
    calls = [
        (RoadFallback(cache, f"order-{number % 3}"), replace(KNOWN, created=NOON + timedelta(seconds=number)))
        for number in range(90)
    ]
    random.Random(4).shuffle(calls)

    def use(call: tuple[RoadFallback[OrderRoad], OrderRoad]) -> None:
        fallback, response = call
        fallback.remember(response)
        fallback.last_known()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, calls))

    assert cache.most_users == 1
    assert [cache[f"order-{number}"].created for number in range(3)] == [
        NOON + timedelta(seconds=seconds) for seconds in (87, 88, 89)
    ]
