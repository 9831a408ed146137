"""A cache in Redis or in memory, through the backends of cashews, which have one interface.

Its decorators and its serializer, which unpickles what it finds in Redis, are not used. Nor is its circuit breaker: it
copies a list of all recent calls on every call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from cashews.backends.interface import Backend
from cashews.backends.memory import Memory
from cashews.backends.redis import Redis
from cashews.exceptions import CacheBackendInteractionError
from cashews.picklers import PicklerType
from cashews.serialize import get_serializer
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .background import cancelled, keep_running
from .cache import CacheRefused, CacheUnavailable
from .logs import get_logger
from .metrics import CACHE_FAILURES
from .settings import CacheSettings

# So many failures in a row, and calls no longer wait for Redis ...
_FAILURES_IN_A_ROW = 5
# ... until it answers a ping. A new connection may need longer than a call waits, so a ping is given more.
_PING_EVERY_S = 0.5
_PING_S = 2.0
_MEMORY_SWEEP_S = 10.0
_CONNECTIONS = 50

logger = get_logger(__name__)


async def opened_backend(url: str | None, settings: CacheSettings) -> Backend:
    """Returns a backend, ready to use.

    Args:
        url: Of Redis, which need not be there; None: the memory of this process.
        settings: How it is used.
    """
    # Bytes are stored as they are, and never unpickled.
    serializer = get_serializer(pickle_type=PicklerType.NULL)
    backend: Backend
    if url is None:
        backend = Memory(settings.memory_entries, _MEMORY_SWEEP_S, serializer=serializer)
    else:
        backend = Redis(
            url,
            suppress=False,
            serializer=serializer,
            client_name="ridehail",
            max_connections=_CONNECTIONS,
            # `BackendCache` bounds each operation as a whole.
            socket_timeout=None,
            wait_for_connection_timeout=None,
            # Once, at once: a connection that Redis has closed meanwhile is found out by using it.
            retry=Retry(NoBackoff(), 1),
        )
    await backend.init()
    return backend


class BackendCache:
    """A cache in one of cashews' backends, which keep bytes as they are.

    Args:
        backend: The backend, ready to use.
        settings: How it is used.
    """

    def __init__(self, backend: Backend, settings: CacheSettings) -> None:
        self._backend = backend
        self._timeout_s = settings.timeout_ms / 1000
        self._failures = 0
        self._pinging: asyncio.Task[None] | None = None

    async def get_many(self, *keys: str) -> tuple[bytes | None, ...]:
        """See Cache."""
        async with self._bounded("get"):
            values = await self._backend.get_many(*keys)
        # What others have put there may be a number.
        return tuple(value if isinstance(value, bytes) else None for value in values)

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, only_if_absent: bool = False, insist: bool = False
    ) -> bool:
        """See Cache."""
        async with self._bounded("put", insist=insist):
            return bool(await self._backend.set(key, value, expire=ttl_s, exist=False if only_if_absent else None))

    async def delete(self, key: str) -> None:
        """See Cache."""
        async with self._bounded("delete", insist=True):
            await self._backend.delete(key)

    async def close(self) -> None:
        """Closes the backend."""
        if self._pinging is not None:
            await cancelled(self._pinging)
        await self._backend.close()  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def _bounded(self, operation: str, *, insist: bool = False) -> AsyncIterator[None]:
        if self._pinging is not None and not insist:
            CACHE_FAILURES.labels(operation, "taken_to_be_away").inc()
            raise CacheUnavailable
        try:
            with _failures_told():
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
        if self._failures >= _FAILURES_IN_A_ROW and self._pinging is None:
            logger.warning("the cache is away", reason=str(error))
            self._pinging = asyncio.create_task(keep_running("ping of the cache", self._ping_until_it_answers))

    async def _ping_until_it_answers(self) -> None:
        away_since = time.monotonic()
        await asyncio.sleep(_PING_EVERY_S)
        while not await self._answers():
            await asyncio.sleep(_PING_EVERY_S)
        self._failures, self._pinging = 0, None
        logger.info("the cache is back", away_s=round(time.monotonic() - away_since, 1))

    async def _answers(self) -> bool:
        try:
            with _failures_told():
                async with asyncio.timeout(_PING_S):
                    await self._backend.ping()
        except CacheUnavailable:
            return False
        return True


@contextmanager
def _failures_told() -> Iterator[None]:
    """Turns what cashews, redis-py and the clock raise into `CacheUnavailable` with a word for the metric."""
    try:
        yield
    except TimeoutError as error:
        raise CacheUnavailable("timeout") from error
    except CacheBackendInteractionError as error:
        cause = error.__cause__
        if isinstance(cause, RedisTimeoutError):
            raise CacheUnavailable("timeout") from error
        if isinstance(cause, ResponseError) and not isinstance(cause, RedisConnectionError):
            raise CacheRefused("refused") from error
        raise CacheUnavailable("unavailable") from error
    except Exception as error:  # whatever the bytes of something that is no Redis make redis-py do
        raise CacheUnavailable("unexpected") from error
