"""Reads by key of which many go on at once: they share their queries.

Nothing is cached: a read is answered by a query that began after it, so it sees all that was stored before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from ridehail_kernel import call_context
from ridehail_kernel.coalescing import Coalescer

from .database import Connection, Database
from .errors import DatabaseUnavailable

Found = TypeVar("Found")
# Keys of one call that do not delay the query of others. As many as clients gather.
_MAX_SHARED = 100

Query = Callable[[Connection, Sequence[str]], Awaitable[dict[str, Found]]]
"""Reads what there is of some keys."""


class SharedReads(Generic[Found]):
    """Reads one key each; those that come while a query runs share the next one."""

    def __init__(self, database: Database, query: Query[Found]) -> None:
        self._database = database
        self._query = query
        self._reads: Coalescer[str, Found] = Coalescer(self._in_time)

    async def get(self, key: str) -> Found | None:
        """Returns what there is of a key, or None.

        Raises:
            DatabaseUnavailable: The database does not respond in time.
            Overloaded: Too many calls wait for the database.
        """
        return await self._reads.get(key)

    async def get_all(self, keys: Sequence[str]) -> dict[str, Found]:
        """Returns what there is of many keys; raises as `get` does.

        A few share queries as well: clients gather lookups too, and if each of their batches took a connection, the
        lookups would take them all, and writes would wait.
        """
        if len(keys) > _MAX_SHARED:
            return await self._read(keys)
        return await self._reads.get_all(keys)

    async def _read(self, keys: Sequence[str]) -> dict[str, Found]:
        return await self._database.read(lambda connection: self._query(connection, keys))

    async def _in_time(self, keys: Sequence[str]) -> dict[str, Found]:
        limit_s = self._database.shared_read_s
        try:
            with call_context.call_context(deadline=time.monotonic() + limit_s):
                async with asyncio.timeout(limit_s):
                    return await self._read(keys)
        except TimeoutError:
            raise DatabaseUnavailable from None
