"""What is kept of banners, against a Redis that is full, empty, or full of garbage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.crc import key_slot

from ridehail_servers.chassis.cache import Cache, open_cache
from ridehail_servers.chassis.settings import CacheSettings
from tests.api_proxy.card.promo_harness import Harness, harness_on
from tests.support.redis_server import RedisServer, redis_proxy
from tests.support.tcp_proxy import Mode, TcpProxy
from tests.support.waiting import until

GARBAGE = [
    b"",
    b"1",
    b"garbage",
    b"bytes:",
    b"bytes:x",
    b"bytes:" + b"x" * 16,
    b"bytes:" + b"x" * 64,
    b"\x80\x04K\x01.",
]


@pytest.fixture
async def cache(redis: RedisServer) -> AsyncIterator[Cache]:
    async with open_cache(redis.url, CacheSettings(timeout_ms=10_000)) as cache:
        yield cache


@pytest.fixture
async def harness(cache: Cache) -> AsyncIterator[Harness]:
    harness = harness_on(cache)
    yield harness
    for one in harness.caches:
        await one.close()


async def test_garbage_under_any_key_is_a_miss(redis: RedisServer, harness: Harness) -> None:
    for _ in range(2):
        await harness.poll()
    assert len(list(redis.client.scan_iter())) == 2
    for key in list(redis.client.scan_iter()):
        for garbage in GARBAGE:
            harness.truth.version += 1
            redis.client.set(key, garbage)
            assert await harness.poll() == harness.truth.version
            # A second look may have been kept again, and is no other.
            assert await harness.poll(host=1) == harness.truth.version
        harness.truth.version += 1
        redis.client.delete(key)
        redis.client.rpush(key, "a list")
        assert await harness.poll() == harness.truth.version


async def test_an_answer_that_is_cut_or_changed_is_a_miss(redis: RedisServer, harness: Harness) -> None:
    await harness.poll()
    (key,) = [key for key in list(redis.client.scan_iter()) if b":entry:" in key]
    kept = redis.client.get(key)
    assert isinstance(kept, bytes)
    for position in range(0, len(kept), 3):
        harness.truth.version += 1
        redis.client.set(key, kept[:position] + bytes([kept[position] ^ 1]) + kept[position + 1 :])
        assert await harness.poll() == harness.truth.version
        redis.client.set(key, kept[:position])
        assert await harness.poll() == harness.truth.version


async def test_a_full_cache_that_takes_nothing_is_told_of_toggles_all_the_same(
    redis: RedisServer, harness: Harness
) -> None:
    for host in (0, 1):
        assert await harness.poll(host=host) == 0
    redis.client.config_set("maxmemory", 1)
    try:
        await harness.toggler(0)
        for host in (1, 0):
            assert await harness.poll(host=host) == 1
    finally:
        redis.client.config_set("maxmemory", 0)
    for host in (1, 0):
        assert await harness.poll(host=host) == 1


@pytest.fixture
def proxied(redis: RedisServer) -> Iterator[tuple[TcpProxy, str]]:
    with redis_proxy(redis) as proxied:
        yield proxied


async def test_a_toggle_that_the_cache_could_not_be_told_of_is_told_as_soon_as_it_can(
    redis: RedisServer, proxied: tuple[TcpProxy, str]
) -> None:
    """Another host, which reaches the cache all the time, shows the new state from then on."""
    proxy, url = proxied
    async with (
        open_cache(url, CacheSettings(timeout_ms=10_000)) as far,
        open_cache(redis.url, CacheSettings(timeout_ms=10_000)) as near,
    ):
        cut_off, other = harness_on(far), harness_on(near)
        other.truth = cut_off.truth
        other.promos._source = cut_off.truth
        assert await cut_off.poll() == await other.poll() == 0
        proxy.set(Mode.REFUSE)
        await cut_off.toggler(0)
        assert await cut_off.poll() == 1
        proxy.set(Mode.PASS)
        assert await cut_off.poll() == 1

        async def is_told() -> bool:
            return await other.poll() == 1

        await until(is_told)
        other.seen.clear()
        assert await cut_off.poll() == await other.poll() == 1
        for one in (*cut_off.caches, *other.caches):
            await one.close()


async def test_nothing_personal_is_in_the_cache(redis: RedisServer, harness: Harness) -> None:
    await harness.poll()
    await harness.toggler(0)
    for key in list(redis.client.scan_iter()):
        assert b"order" not in key
        assert b"user" not in key


async def test_all_that_is_kept_of_a_ride_is_in_one_slot_of_a_cluster(redis: RedisServer, harness: Harness) -> None:
    await harness.poll()
    await harness.toggler(0)
    keys = list(redis.client.scan_iter())
    assert len(keys) > 1
    assert len({key_slot(key) for key in keys}) == 1
