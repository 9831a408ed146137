"""A cache that all processes of a service share: Redis, or this process' memory where there is only one.

A cache may lose anything at any moment, and may be away: then there is nothing in it, which is never an error of the
call. What it is made of, `backend_cache`, is loaded by the processes that open one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from .settings import CacheSettings

NO_CACHE = "none"
"""The URL of a cache that keeps nothing."""


class CacheUnavailable(Exception):
    """The cache did not answer; whether it did what it was asked to is not known. Counted already."""


class CacheRefused(CacheUnavailable):
    """The cache answers, but does not do this, such as to store something when it is full."""


class Cache(Protocol):
    """What a service does with a cache. Every method may raise `CacheUnavailable`."""

    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        """Returns the values at one moment; None where there is none.

        Args:
            keys: One or more.
        """

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, only_if_absent: bool = False, insist: bool = False
    ) -> bool:
        """Stores a value.

        Args:
            key: Where.
            value: What.
            ttl_s: Seconds after which it goes.
            only_if_absent: Whether what is there stays.
            insist: Whether it is tried also while the cache is taken to be away.

        Returns:
            Whether it was stored.
        """

    async def delete(self, key: str) -> None:
        """Removes a value, also while the cache is taken to be away.

        Args:
            key: Where it is, if it is there.
        """


class NoCache:
    """A cache that keeps nothing."""

    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        """See Cache."""
        return (None,) * len(keys)

    async def put(
        self, _key: str, _value: bytes, *, ttl_s: float, only_if_absent: bool = False, insist: bool = False
    ) -> bool:
        """See Cache."""
        del ttl_s, only_if_absent, insist
        return False

    async def delete(self, _key: str) -> None:
        """See Cache."""


def check_url(url: str) -> str:
    """Returns the URL of a cache, if it is one.

    Args:
        url: `redis://...`, `rediss://...`, `unix://...` as redis-py takes them, or `none`.

    Raises:
        ValueError: It is none of these. The text does not repeat the URL, which may hold a password.
    """
    if url == NO_CACHE:
        return url
    from redis.asyncio.connection import parse_url  # noqa: PLC0415

    try:
        parse_url(url)
    except ValueError as error:
        raise ValueError("takes redis://HOST:PORT/NUMBER, rediss://..., unix://PATH or none") from error
    return url


@asynccontextmanager
async def open_cache(url: str | None, settings: CacheSettings) -> AsyncIterator[Cache]:
    """Opens a cache for the length of the block. Need not be there: it is connected to when it is used.

    Args:
        url: See `check_url`; None: in the memory of this process.
        settings: How it is used.
    """
    if url == NO_CACHE:
        yield NoCache()
        return
    from .backend_cache import BackendCache, opened_backend  # noqa: PLC0415

    cache = BackendCache(await opened_backend(None if url is None else check_url(url), settings), settings)
    try:
        yield cache
    finally:
        await cache.close()
