"""However polls, toggles and evictions interleave: no card shows less than what the rider has been answered before.

Every operation of the cache, every commit and every answer is a step; hypothesis says who makes the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ridehail_servers.chassis.cache import Cache, open_cache
from ridehail_servers.chassis.settings import CacheSettings
from tests.api_proxy.card.promo_harness import LOCALES, UNKNOWN_FOR_S, Harness, harness_on
from tests.support.redis_server import RedisServer

PATIENT = CacheSettings(timeout_ms=10_000)
IN_MEMORY_EXAMPLES, REDIS_EXAMPLES = 50, 10


@dataclass
class Backend:
    """A cache, and what lets a test look and reach into it."""

    cache: Cache
    keys: Callable[[], list[str]]
    evict: Callable[[str], object]
    clear: Callable[[], object]
    examples: int
    runner: asyncio.Runner

    def evictions(self, *kinds: str) -> dict[str, Callable[[], object]]:
        """Returns what evicts the keys of some kinds."""
        return {f"evict {kind}": lambda kind=kind: self.evict_all(kind) for kind in kinds}  # type: ignore[misc]

    def evict_all(self, kind: str) -> None:
        """Evicts every key of a kind."""
        for key in self.keys():
            if f":{kind}" in key:
                self.evict(key)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    with asyncio.Runner() as runner:
        redis: RedisServer | None = request.getfixturevalue("redis") if request.param == "redis" else None
        opened: AbstractAsyncContextManager[Any] = open_cache(redis.url if redis else None, PATIENT)
        cache = runner.run(opened.__aenter__())
        try:
            yield _of_redis(cache, redis, runner) if redis else _of_memory(cache, runner)
        finally:
            runner.run(opened.__aexit__(None, None, None))


def _of_memory(cache: Any, runner: asyncio.Runner) -> Backend:
    store = cache._entries
    return Backend(
        cache, lambda: list(store), lambda key: store.pop(key, None), store.clear, IN_MEMORY_EXAMPLES, runner
    )


def _of_redis(cache: Any, redis: RedisServer, runner: asyncio.Runner) -> Backend:
    client = redis.client
    return Backend(
        cache,
        lambda: [key.decode() for key in client.scan_iter()],
        client.delete,
        client.flushall,
        REDIS_EXAMPLES,
        runner,
    )


def explore(backend: Backend, play: Callable[[Harness, Callable[[Any], str]], Any]) -> None:
    """Has hypothesis choose every step of many plays."""

    @settings(
        max_examples=backend.examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # a failure names every step; to find a shorter one takes minutes
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.data())
    def plays(data: st.DataObject) -> None:
        backend.clear()
        harness = harness_on(backend.cache)

        async def one() -> None:
            await play(harness, lambda able: data.draw(st.sampled_from(list(able))))
            for cache in harness.caches:
                await cache.close()

        backend.runner.run(one())
        harness.check()

    plays()


async def assert_nothing_stale_is_left(backend: Backend, harness: Harness) -> None:
    """Whatever is left in the cache, and whatever goes from it now, cards show the latest version."""
    for kind in ("nothing", "entry", "generation", "unknown"):
        backend.evict_all(kind)
        for host in (0, 1):
            for locale in LOCALES:
                assert await harness.poll(locale=locale, host=host) == harness.truth.version


def test_two_polls_and_two_toggles(backend: Backend) -> None:
    async def play(harness: Harness, choose: Callable[[Any], str]) -> None:
        await harness.poll()
        actors = {
            "first poll": harness.poller(0),
            "second poll": harness.poller(1),
            "first toggle": harness.toggler(0),
            "second toggle": harness.toggler(1),
        }
        await harness.scheduler.run(actors, choose, effects=backend.evictions("generation", "entry"))
        assert harness.truth.version == 2
        await assert_nothing_stale_is_left(backend, harness)

    explore(backend, play)


def test_a_toggle_that_is_refused_beside_one_that_is_not(backend: Backend) -> None:
    async def play(harness: Harness, choose: Callable[[Any], str]) -> None:
        actors = {
            "poll": harness.poller(0),
            "refused": harness.refused_toggler(1),
            "toggle": harness.toggler(0),
        }
        await harness.scheduler.run(actors, choose, effects=backend.evictions("generation", "entry"))
        await assert_nothing_stale_is_left(backend, harness)

    explore(backend, play)


def test_a_toggle_that_is_carried_out_after_it_was_given_up(backend: Backend) -> None:
    """Until nothing more can happen no card is kept: each shows what is the case when it is requested."""

    async def play(harness: Harness, choose: Callable[[Any], str]) -> None:
        await harness.poll()
        actors = {
            "first poll": harness.poller(0),
            "second poll": harness.poller(1),
            "given up": harness.given_up_toggler(0),
            "toggle": harness.toggler(1),
        }
        effects: Mapping[str, Callable[[], object]] = {
            **backend.evictions("generation", "entry"),
            "carry out late": harness.carry_out_late,
        }
        await harness.scheduler.run(actors, choose, effects=effects)
        for host in (0, 1):
            assert await harness.poll(host=host) == harness.truth.version
        harness.carry_out_late()
        for host in (0, 1, 0):
            assert await harness.poll(host=host) == harness.truth.version
        backend.evict_all("unknown")  # its time is over
        for host in (0, 1):
            assert await harness.poll(host=host) == harness.truth.version
        harness.now[0] += UNKNOWN_FOR_S
        for cache in harness.caches:
            await cache.repeat_due()
        await assert_nothing_stale_is_left(backend, harness)

    explore(backend, play)


def test_the_mark_of_what_is_unknown_may_be_evicted_as_well(backend: Backend) -> None:
    """Then cards may show what was the case until the time is over, and not longer."""

    async def play(harness: Harness, choose: Callable[[Any], str]) -> None:
        actors = {"poll": harness.poller(1), "given up": harness.given_up_toggler(0), "toggle": harness.toggler(1)}
        await harness.scheduler.run(actors, choose, effects=backend.evictions("generation", "entry", "unknown"))
        harness.carry_out_late()
        harness.now[0] += UNKNOWN_FOR_S
        backend.evict_all("unknown")
        for cache in harness.caches:
            await cache.repeat_due()
        await assert_nothing_stale_is_left(backend, harness)

    explore(backend, play)


# As many plays as there are orders are for the cache in memory.
@pytest.mark.parametrize("backend", ["memory"], indirect=True)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_one_poll_and_one_toggle_in_every_order_that_there_is(backend: Backend, warm: bool) -> None:
    async def play(choices: list[int]) -> list[int]:
        """Plays by these choices, then always by the first; returns how many there were to choose from each time."""
        backend.clear()
        harness, widths = harness_on(backend.cache), list[int]()
        if warm:
            await harness.poll()

        def choose(able: Any) -> str:
            widths.append(len(able))
            return str(able[choices[len(widths) - 1] if len(widths) <= len(choices) else 0])

        await harness.scheduler.run({"poll": harness.poller(0, times=1), "toggle": harness.toggler(1)}, choose)
        harness.check()
        assert await harness.poll() == await harness.poll(host=1) == 1
        return widths

    plays, choices = 0, list[int]()
    while True:
        widths = backend.runner.run(play(choices))
        plays += 1
        choices += [0] * (len(widths) - len(choices))
        while choices and choices[-1] + 1 >= widths[len(choices) - 1]:
            choices.pop()
        if not choices:
            break
        choices[-1] += 1
    assert plays > 100
