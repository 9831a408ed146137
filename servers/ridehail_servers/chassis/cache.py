"""A cache that all processes of a service share: Redis, or this process' memory where there is only one.

A cache may lose anything at any time, and may be away: then there is nothing in it, which is never an error of the
call. `redis_cache` is loaded by the processes that open one.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from cachetools import TLRUCache

from .settings import CacheSettings

NO_CACHE = "none"
"""The URL of a cache that keeps nothing."""
CLUSTER = "+cluster"
"""Ends the scheme of the URL of a node of a cluster."""


class CacheUnavailable(Exception):
    """The cache did not respond; whether it did what it was asked to is not known. Counted already."""


class CacheRefused(CacheUnavailable):
    """The cache responds, but does not do this, such as to store something when it is full."""


class Cache(Protocol):
    """What a service does with a cache. Every method may raise `CacheUnavailable`."""

    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        """Returns the value of each key at one instant, or None where there is none."""

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, only_if_absent: bool = False, insist: bool = False
    ) -> bool:
        """Stores a value for `ttl_s` seconds; returns whether it was stored.

        Args:
            key: Where.
            value: What.
            ttl_s: Seconds after which it goes.
            only_if_absent: Whether what is there stays.
            insist: Whether it is tried also while the cache is taken to be away.
        """

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one; also tried while the cache is taken to be away."""


class NoCache:
    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        return (None,) * len(keys)

    async def put(
        self, _key: str, _value: bytes, *, ttl_s: float, only_if_absent: bool = False, insist: bool = False
    ) -> bool:
        del ttl_s, only_if_absent, insist
        return False

    async def delete(self, _key: str) -> None: ...


class MemoryCache:
    def __init__(self, max_entries: int) -> None:
        # Of each value the time when it goes.
        self._entries: TLRUCache[str, tuple[bytes, float]] = TLRUCache(
            max_entries, ttu=lambda _key, entry, _now: entry[1], timer=time.monotonic
        )

    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        entries = [self._entries.get(key) for key in keys]
        return tuple(entry and entry[0] for entry in entries)

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, only_if_absent: bool = False, insist: bool = False
    ) -> bool:
        del insist
        if only_if_absent and key in self._entries:
            return False
        self._entries[key] = (value, time.monotonic() + ttl_s)
        return True

    async def delete(self, key: str) -> None:
        self._entries.pop(key, None)


def check_url(url: str) -> str:
    """Returns the URL of a cache: `redis://...`, `rediss://...`, `unix://...` as redis-py takes them, or `none`.

    `redis+cluster://...` and `rediss+cluster://...` name a node of a cluster, which knows the others.

    Raises:
        ValueError: It is none of these. The text does not repeat the URL, which may hold a password.
    """
    if url == NO_CACHE:
        return url
    from redis.asyncio.connection import parse_url  # noqa: PLC0415

    try:
        parse_url(url.replace(f"{CLUSTER}://", "://", 1))
    except ValueError as error:
        expected = "redis://HOST:PORT/NUMBER, rediss://..., redis+cluster://HOST:PORT, unix://PATH or none"
        raise ValueError(f"takes {expected}") from error
    return url


@asynccontextmanager
async def open_cache(url: str | None, settings: CacheSettings) -> AsyncIterator[Cache]:
    """Opens a cache for the length of the block: that of the URL, or one in the memory of this process if it is None.

    It is connected to when it is used.
    """
    if url is None:
        yield MemoryCache(settings.memory_entries)
    elif url == NO_CACHE:
        yield NoCache()
    else:
        from .redis_cache import RedisCache, redis_client  # noqa: PLC0415

        cache = RedisCache(redis_client(check_url(url)), settings)
        try:
            yield cache
        finally:
            await cache.close()
