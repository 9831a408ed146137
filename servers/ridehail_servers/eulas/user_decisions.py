"""What users have decided, as it is stored."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.shared_reads import SharedReads

from .decision import Decision
from .store import EulasStore


class UserDecisions:
    """Reads and writes decisions; concurrent reads share their queries.

    Nothing is cached: a lookup is answered by a query that began after it, so it sees all that was saved before.
    """

    def __init__(self, database: Database, store: EulasStore) -> None:
        self._database = database
        self._store = store
        self._decisions = SharedReads(database, store.decisions_of)

    async def of_user(self, yandex_uid: str) -> list[Decision]:
        """Returns all that is stored of a user, valid or not, one decision for each agreement.

        Args:
            yandex_uid: The user.
        """
        return await self._decisions.get(yandex_uid) or []

    async def save(self, yandex_uid: str, decisions: Sequence[Decision], *, source: str) -> None:
        """Stores and logs decisions, all or none.

        Args:
            yandex_uid: The user.
            decisions: One for each agreement at most.
            source: Who saves them.
        """
        async with self._database.connection() as connection:
            await self._store.save(connection, yandex_uid, decisions, source)
