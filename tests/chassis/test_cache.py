"""The shared cache: bytes in, bytes out; and however it fails, it costs a call little and answers nothing false."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import REGISTRY

from ridehail_servers.chassis.cache import (
    Cache,
    CacheRefused,
    CacheUnavailable,
    check_url,
    open_cache,
)
from ridehail_servers.chassis.settings import CacheSettings
from tests.support.folders import shared_folder
from tests.support.log_capture import LogCapture
from tests.support.redis_server import ERROR_ANSWER, RedisServer, redis_cluster, redis_proxy
from tests.support.tcp_proxy import Mode, TcpProxy
from tests.support.waiting import until

PATIENT = CacheSettings(timeout_ms=10_000)
QUICK = CacheSettings(timeout_ms=500)
VALUES = [b"", b"1", b"123", b"bytes:", b"bytes:1", b"\x80\x04K\x01.", bytes(range(256)), b"x" * 100_000]


@pytest.fixture(scope="module")
def cluster(running_redis: RedisServer) -> Iterator[list[RedisServer]]:
    """A cluster of two nodes; skips tests where Redis is not installed."""
    with shared_folder() as folder, redis_cluster(folder) as nodes:
        yield nodes


def url_of(cluster: list[RedisServer]) -> str:
    return f"redis+cluster://127.0.0.1:{cluster[0].port}"


@pytest.fixture(params=["memory", *(pytest.param(it, marks=pytest.mark.integration) for it in ("redis", "cluster"))])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    urls: dict[str, Callable[[], str | None]] = {
        "memory": lambda: None,
        "redis": lambda: str(request.getfixturevalue("redis").url),
        "cluster": lambda: url_of(request.getfixturevalue("cluster")),
    }
    async with open_cache(urls[request.param](), PATIENT) as cache:
        yield cache


@asynccontextmanager
async def behind_a_proxy(redis: RedisServer, settings: CacheSettings = QUICK) -> AsyncIterator[tuple[Cache, TcpProxy]]:
    with redis_proxy(redis) as (proxy, url):
        async with open_cache(url, settings) as cache:
            yield cache, proxy


async def stored(cache: Cache, key: str, value: bytes) -> None:
    """Stores a value, however busy the machine is."""

    async def is_stored() -> bool:
        with suppress(CacheUnavailable):
            return await cache.put(key, value, ttl_s=600)
        return False

    await until(is_stored)


def failures(operation: str, reason: str) -> float:
    labels = {"operation": operation, "reason": reason}
    return REGISTRY.get_sample_value("ridehail_cache_failures_total", labels) or 0


async def test_whatever_is_put_is_got_as_it_was(cache: Cache) -> None:
    # By what stands in braces a cluster chooses the node: what is read together is kept together.
    keys = [f"{{one}}:{number}" for number in range(len(VALUES))]
    for key, value in zip(keys, VALUES, strict=True):
        assert await cache.put(key, value, ttl_s=60)
    assert await cache.get_many(*keys, "{one}:nothing") == (*VALUES, None)
    await cache.delete(keys[1])
    await cache.delete("{one}:nothing")
    assert await cache.get_many(*keys[:2]) == (VALUES[0], None)


async def test_a_cluster_keeps_values_on_all_of_its_nodes(cluster: list[RedisServer]) -> None:
    async with open_cache(url_of(cluster), PATIENT) as cache:
        for number in range(50):
            assert await cache.put(f"{{{number}}}", b"%d" % number, ttl_s=60)
        assert [await cache.get_many(f"{{{number}}}") for number in range(50)] == [(b"%d" % n,) for n in range(50)]
    assert all(node.client.dbsize() for node in cluster)


async def test_what_is_there_stays_where_only_the_absent_is_put(cache: Cache) -> None:
    assert await cache.put("key", b"first", ttl_s=60, only_if_absent=True)
    assert not await cache.put("key", b"second", ttl_s=60, only_if_absent=True)
    assert await cache.get_many("key") == (b"first",)
    assert await cache.put("key", b"third", ttl_s=60)
    assert await cache.get_many("key") == (b"third",)


async def test_a_value_goes_when_its_time_is_over(cache: Cache) -> None:
    await cache.put("key", b"value", ttl_s=0.1)

    async def is_gone() -> bool:
        return await cache.get_many("key") == (None,)

    await until(is_gone)


async def test_none_keeps_nothing() -> None:
    async with open_cache("none", PATIENT) as cache:
        assert not await cache.put("key", b"value", ttl_s=60)
        await cache.delete("key")
        assert await cache.get_many("key", "other") == (None, None)


async def test_memory_holds_so_many_entries_and_those_that_were_used_last() -> None:
    async with open_cache(None, CacheSettings(memory_entries=3)) as cache:
        for number in range(3):
            await cache.put(str(number), b"value", ttl_s=60)
        await cache.get_many("0")
        await cache.put("3", b"value", ttl_s=60)
        assert await cache.get_many("0", "1", "2", "3") == (b"value", None, b"value", b"value")


async def test_what_others_have_put_into_redis_is_not_there(redis: RedisServer) -> None:
    """Nothing of it is unpickled, least of all."""
    async with open_cache(redis.url, PATIENT) as cache:
        for garbage in (b"", b"1", b"-1", b"text", b"cos\nsystem\n(S'false'\ntR.", b"\x80\x04K\x01.", b"Decimal:1"):
            redis.client.set("key", garbage)
            assert await cache.get_many("key") == (None,)
        redis.client.delete("key")
        redis.client.rpush("key", b"bytes:one")
        assert await cache.get_many("key") == (None,)
        assert await cache.put("key", b"value", ttl_s=60)


@pytest.mark.parametrize(
    ("mode", "reason", "settings"), [(Mode.HANG, "timeout", QUICK), (Mode.REFUSE, "unavailable", PATIENT)]
)
async def test_a_cache_that_is_away_costs_a_call_its_timeout_at_most_and_then_nothing(
    redis: RedisServer, log: LogCapture, mode: Mode, reason: str, settings: CacheSettings
) -> None:
    async with behind_a_proxy(redis, settings) as (cache, proxy):
        await stored(cache, "key", b"value")
        before, skipped = failures("get", reason), failures("get", "taken_to_be_away")
        proxy.set(mode)
        for _ in range(5):
            with pytest.raises(CacheUnavailable):
                await cache.get_many("key")
        assert failures("get", reason) == before + 5
        with pytest.raises(CacheUnavailable):
            await cache.get_many("key")
        assert failures("get", "taken_to_be_away") == skipped + 1
        assert len(log.events("the cache is away")) == 1
        proxy.set(Mode.PASS)
        await until(lambda: log.events("the cache is back"))

        async def is_read() -> bool:
            with suppress(CacheUnavailable):
                return await cache.get_many("key") == (b"value",)
            return False

        await until(is_read)


async def test_who_insists_is_heard_as_soon_as_the_cache_is_back(redis: RedisServer) -> None:
    async with behind_a_proxy(redis, PATIENT) as (cache, proxy):
        proxy.set(Mode.REFUSE)
        for _ in range(5):
            with pytest.raises(CacheUnavailable):
                await cache.put("key", b"value", ttl_s=60)
        proxy.set(Mode.PASS)
        assert await cache.put("key", b"value", ttl_s=60, insist=True)
        await cache.delete("key")


async def test_a_refusal_has_a_kind_of_its_own_and_is_no_sign_of_absence(redis: RedisServer) -> None:
    async with open_cache(redis.url, PATIENT) as cache:
        await cache.put("key", b"value", ttl_s=60)
        redis.client.config_set("maxmemory", 1)
        try:
            for _ in range(7):
                with pytest.raises(CacheRefused):
                    await cache.put("other", b"value", ttl_s=60)
            assert await cache.get_many("key") == (b"value",)
            await cache.delete("key")
            assert await cache.get_many("key") == (None,)
        finally:
            redis.client.config_set("maxmemory", 0)


async def test_garbage_from_the_other_side_is_a_failure_like_any_other(redis: RedisServer) -> None:
    async with behind_a_proxy(redis, PATIENT) as (cache, proxy):
        await cache.put("key", b"value", ttl_s=60)
        proxy.set(Mode.PASS, answers=ERROR_ANSWER)
        with pytest.raises(CacheUnavailable):
            await cache.get_many("key")


async def test_an_answer_that_came_too_late_is_nobody_elses(redis: RedisServer) -> None:
    """Calls that time out or are given up leave no answers behind for the next ones on the same connection."""
    async with behind_a_proxy(redis) as (cache, proxy):
        for number in range(20):
            await stored(cache, str(number), str(number).encode())

        async def get(number: int) -> None:
            try:
                values = await cache.get_many(str(number))
            except CacheUnavailable:
                return
            assert values == (str(number).encode(),)

        for turn in range(6):
            proxy.set(Mode.HANG if turn % 2 == 0 else Mode.PASS)
            asking = [asyncio.create_task(get(number)) for number in range(20)]
            await asyncio.sleep(0.01)
            for task in asking[::3]:
                task.cancel()
            results = await asyncio.gather(*asking, return_exceptions=True)
            assert not [one for one in results if isinstance(one, Exception)]


@pytest.mark.parametrize("url", ["redis://host", "redis://user:pass@host:1/2", "rediss://host", "unix:///path", "none"])
def test_urls_that_it_takes(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url", ["", "host:6379", "http://:secret@host", "redis://:secret@host:port", "redis://:secret@host?db=x"]
)
def test_a_bad_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="takes redis://HOST:PORT/NUMBER") as caught:
        check_url(url)
    assert "secret" not in str(caught.value)
