"""Lists stored states for the other back end, and imports its copies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database

from .state import StateCopy, check_page


class CopyStore(Protocol):
    """The statements that a back end's store has for copies."""

    async def list_page(
        self, connection: Connection, after_yandex_uid: str, limit: int, changed_since: datetime | None
    ) -> list[StateCopy] | None:
        """Returns states by user, or None if several of them together have more than MAX_PAGE_BYTES."""

    async def import_newer(self, connection: Connection, copies: Sequence[StateCopy], now: datetime) -> int: ...


class StateCopies:
    """The states of one back end, as the other one copies them."""

    def __init__(self, database: Database, store: CopyStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def list_page(self, after_yandex_uid: str, limit: int, changed_since: datetime | None) -> Sequence[StateCopy]:
        """Returns up to `limit` states, sorted by user, from the first user after the given one.

        With `changed_since`, only states that changed at this time or later.

        Raises:
            ResponseTooLarge: They do not fit into one response.
        """
        page = await self._database.read(
            lambda connection: self._store.list_page(connection, after_yandex_uid, limit, changed_since)
        )
        return check_page(page)

    async def import_newer(self, copies: Sequence[StateCopy]) -> int:
        """Stores the copies, each user once, whose revision is higher than the stored one. All or none.

        Returns:
            How many were stored.
        """
        changed = [copy for copy in copies if copy.state.revision]
        async with self._database.connection() as connection:
            return await self._store.import_newer(connection, changed, self._clock())
