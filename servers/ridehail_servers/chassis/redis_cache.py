"""The cache in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .background import cancelled, keep_running
from .cache import CLUSTER, CacheRefused, CacheUnavailable
from .logs import get_logger
from .metrics import CACHE_FAILURES
from .settings import CacheSettings

# So many failures in a row, and calls no longer wait for Redis ...
_MAX_FAILURES_IN_A_ROW = 5
# ... until it responds to a ping. A new connection may need longer than a call waits, so a ping is given more.
_PING_EVERY_S = 0.5
_PING_TIMEOUT_S = 2.0
_MAX_CONNECTIONS = 50
# Of each node. An operation beyond them fails instead of waiting: so many calls a process has under way.
_MAX_CLUSTER_CONNECTIONS = 500
_HEALTH_CHECK_EVERY_S = 10
# Of our own values: what others have put there is not taken for one.
_PREFIX = b"bytes:"

logger = get_logger(__name__)


def redis_client(url: str) -> Redis | RedisCluster:
    """Returns a client that connects when it is used."""
    # Once, at once: a connection that Redis has closed meanwhile is found out by using it.
    retry = Retry(NoBackoff(), 1)
    if CLUSTER in url:
        return RedisCluster.from_url(
            url.replace(CLUSTER, "", 1),
            client_name="ridehail",
            max_connections=_MAX_CLUSTER_CONNECTIONS,
            health_check_interval=_HEALTH_CHECK_EVERY_S,
            socket_timeout=None,
            retry=retry,
        )
    pool = BlockingConnectionPool.from_url(
        url,
        client_name="ridehail",
        max_connections=_MAX_CONNECTIONS,
        health_check_interval=_HEALTH_CHECK_EVERY_S,
        # `RedisCache` bounds each operation as a whole.
        timeout=None,
        socket_timeout=None,
        retry=retry,
    )
    return Redis.from_pool(pool)


class RedisCache:
    def __init__(self, client: Redis | RedisCluster, settings: CacheSettings) -> None:
        self._client = client
        self._timeout_s = settings.timeout_ms / 1000
        self._failures = 0
        self._pinging: asyncio.Task[None] | None = None

    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        async with self._bounded("get"):
            values = await self._client.mget(keys)
        return tuple(map(_own, values))

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, only_if_absent: bool = False, insist: bool = False
    ) -> bool:
        async with self._bounded("put", insist=insist):
            return bool(await self._client.set(key, _PREFIX + value, px=int(ttl_s * 1000), nx=only_if_absent))

    async def delete(self, key: str) -> None:
        async with self._bounded("delete", insist=True):
            await self._client.unlink(key)

    async def close(self) -> None:
        if self._pinging is not None:
            await cancelled(self._pinging)
        await self._client.aclose()

    @asynccontextmanager
    async def _bounded(self, operation: str, *, insist: bool = False) -> AsyncIterator[None]:
        if self._pinging is not None and not insist:
            CACHE_FAILURES.labels(operation, "taken_to_be_away").inc()
            raise CacheUnavailable
        try:
            with _translate_errors():
                async with asyncio.timeout(self._timeout_s):
                    yield
        except CacheUnavailable as error:
            CACHE_FAILURES.labels(operation, str(error)).inc()
            self._count_failure(error)
            raise
        self._failures = 0

    def _count_failure(self, error: CacheUnavailable) -> None:
        if isinstance(error, CacheRefused):
            return
        self._failures += 1
        if self._failures >= _MAX_FAILURES_IN_A_ROW and self._pinging is None:
            logger.warning("the cache is away", reason=str(error))
            self._pinging = asyncio.create_task(keep_running("ping of the cache", self._ping_until_it_responds))

    async def _ping_until_it_responds(self) -> None:
        away_since = time.monotonic()
        await asyncio.sleep(_PING_EVERY_S)
        while not await self._responds():
            await asyncio.sleep(_PING_EVERY_S)
        self._failures, self._pinging = 0, None
        logger.info("the cache is back", away_s=round(time.monotonic() - away_since, 1))

    async def _responds(self) -> bool:
        try:
            with _translate_errors():
                async with asyncio.timeout(_PING_TIMEOUT_S):
                    await self._client.ping()
        except CacheUnavailable:
            return False
        return True


def _own(value: object) -> bytes | None:
    return value.removeprefix(_PREFIX) if isinstance(value, bytes) and value.startswith(_PREFIX) else None


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turns what redis-py and the clock raise into `CacheUnavailable` with a word for the metric."""
    try:
        yield
    except (TimeoutError, RedisTimeoutError) as error:
        raise CacheUnavailable("timeout") from error
    except ResponseError as error:
        if isinstance(error, RedisConnectionError):
            raise CacheUnavailable("unavailable") from error
        raise CacheRefused("refused") from error
    except (RedisError, OSError) as error:
        raise CacheUnavailable("unavailable") from error
    except Exception as error:  # whatever the bytes of something that is no Redis make redis-py do
        raise CacheUnavailable("unexpected") from error
