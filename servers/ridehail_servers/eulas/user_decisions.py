"""What users have decided, as it is stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from ridehail_clients import call_context
from ridehail_clients.coalescing import Coalescer
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import DatabaseUnavailable

from .decision import Decision
from .store import EulasStore

# No caller's deadline bounds a shared lookup. Waiting for one lookup and for one's own takes less than the second that
# the contract gives, so callers learn that the database does not answer rather than that their time is up.
_SHARED_LOOKUP_S = 0.4


class UserDecisions:
    """Reads and writes decisions; concurrent reads share their queries.

    Nothing is cached: a lookup is answered by a query that began after it, so it sees all that was saved before.
    """

    def __init__(self, database: Database, store: EulasStore) -> None:
        self._database = database
        self._store = store
        self._lookups: Coalescer[str, list[Decision]] = Coalescer(self._load)

    async def of_user(self, yandex_uid: str) -> list[Decision]:
        """Returns all that is stored of a user, valid or not, one decision for each agreement.

        Args:
            yandex_uid: The user.
        """
        return await self._lookups.get(yandex_uid) or []

    async def save(self, yandex_uid: str, decisions: Sequence[Decision], *, source: str) -> None:
        """Stores and logs decisions, all or none.

        Args:
            yandex_uid: The user.
            decisions: One for each agreement at most.
            source: Who saves them.
        """
        async with self._database.connection() as connection:
            await self._store.save(connection, yandex_uid, decisions, source)

    async def _load(self, yandex_uids: Sequence[str]) -> dict[str, list[Decision]]:
        try:
            with call_context.call_context(deadline=time.monotonic() + _SHARED_LOOKUP_S):
                async with asyncio.timeout(_SHARED_LOOKUP_S):
                    return await self._database.read(
                        lambda connection: self._store.decisions_of(connection, yandex_uids)
                    )
        except TimeoutError:
            raise DatabaseUnavailable from None
