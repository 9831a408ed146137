"""Looks up whom rides are shared with, and shows them to those."""

from __future__ import annotations

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import DependencyUnavailable

from .dependencies import FamilyService
from .errors import NotInFamily, SharingKeyNotFound
from .ride import FamilyRide, SharingInfo, WatchedRide
from .store import RouteSharingStore


class SharedRides:
    """All rides that are shared."""

    def __init__(self, database: Database, store: RouteSharingStore, family: FamilyService) -> None:
        self._database = database
        self._store = store
        self._family = family

    async def info(self, sharing_key: str) -> SharingInfo:
        """Returns whom a ride is shared with; nobody, when there is no such key."""
        stored = await self._database.read(lambda connection: self._store.sharing(connection, sharing_key))
        if stored is None:
            return SharingInfo((), None)
        if stored.family is not None or stored.yandex_uid is None:
            return SharingInfo(stored.phone_ids, stored.family)
        try:
            family = await self._family.family_of(stored.yandex_uid)
        except NotInFamily:
            return SharingInfo(stored.phone_ids, None)
        except DependencyUnavailable:
            return SharingInfo(stored.phone_ids, None, family_unknown=True)
        admin = family.admin
        return SharingInfo(
            stored.phone_ids, None if admin is None else FamilyRide(admin.uid, admin.name, sharing_on=False)
        )

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
