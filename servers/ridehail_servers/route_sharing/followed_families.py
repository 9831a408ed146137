"""Keeps families as they are now, for the rides that are shared with them."""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database

from .followed_family import FollowedFamily
from .followed_family_store import FollowedFamilyStore
from .metrics import FAMILIES_PUT


class FollowedFamilies:
    """The families that rides are shared with, each at the highest version that has arrived."""

    def __init__(self, database: Database, store: FollowedFamilyStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def put(self, family: FollowedFamily) -> None:
        """Stores a family, unless it is known at this version or a higher one.

        Families that no ride is shared with are kept as well: a toggle may be under way that has read an older version.
        """
        async with self._database.transaction() as connection:
            is_newer = await self._put(connection, family, self._clock())
        FAMILIES_PUT.labels("stored" if is_newer else "older").inc()

    async def join(self, connection: Connection, family: FollowedFamily, rider: str, now: datetime) -> str | None:
        """Stores a family as `put` does, and keeps it locked against every change until the transaction ends.

        Returns the rider's membership in it by the highest version, or None if the rider is not in it any more.
        """
        await self._put(connection, family, now)
        await self._store.mark_used(connection, family.family_id, now)
        return await self._store.membership_of(connection, family.family_id, rider)

    async def _put(self, connection: Connection, family: FollowedFamily, now: datetime) -> bool:
        if not await self._store.lock_and_put(connection, family, now):
            return False
        await self._store.delete_members(connection, family.family_id)
        await self._store.insert_members(connection, family)
        return True
