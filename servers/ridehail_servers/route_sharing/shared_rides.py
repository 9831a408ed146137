"""Tells whom rides are shared with, and shows them to those."""

from __future__ import annotations

from ridehail_servers.chassis.database import Database

from .errors import SharingKeyNotFound
from .ride import Sharing, WatchedRide
from .store import RouteSharingStore

_NOBODY = Sharing((), None)


class SharedRides:
    """All rides that are shared."""

    def __init__(self, database: Database, store: RouteSharingStore) -> None:
        self._database = database
        self._store = store

    async def sharing(self, sharing_key: str) -> Sharing:
        """Returns whom a ride is shared with; nobody, when there is no such key.

        Args:
            sharing_key: The key.
        """
        return await self._database.read(lambda connection: self._store.sharing(connection, sharing_key)) or _NOBODY

    async def watched(self, sharing_key: str, *, yandex_uid: str, phone_id: str) -> WatchedRide:
        """Returns a ride to a passenger who may watch it: the rider, and whoever has a phone that it is shared with.

        Args:
            sharing_key: The key.
            yandex_uid: The passenger.
            phone_id: The passenger's phone; empty when unknown.

        Raises:
            SharingKeyNotFound: There is no such key, or the passenger may not watch the ride.
        """
        ride = await self._database.read(
            lambda connection: self._store.watched_ride(
                connection, sharing_key, yandex_uid=yandex_uid, phone_id=phone_id
            )
        )
        if ride is None:
            raise SharingKeyNotFound
        return ride
