"""Toll-road offers."""

from __future__ import annotations

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .store import TollRoadsStore


class Offers:
    def __init__(self, database: Database, store: TollRoadsStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def save(self, offer_id: str) -> None:
        """Stores a toll-road offer; a repeat changes nothing."""
        async with self._database.connection() as connection:
            await self._store.insert_offer(connection, offer_id, self._clock())
