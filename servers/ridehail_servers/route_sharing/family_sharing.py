"""Shares rides with riders' families, and stops sharing them."""

from __future__ import annotations

from dataclasses import replace

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .dependencies import FamilyService, OrderCore
from .errors import NotInFamily, SharingKeyConflict
from .followed_families import FollowedFamilies
from .ride import Origin, Ride
from .store import RouteSharingStore


class FamilySharing:
    """The toggle of a ride. Each call is stored whole, and the last to be stored wins."""

    def __init__(
        self,
        database: Database,
        store: RouteSharingStore,
        families: FollowedFamilies,
        family: FamilyService,
        orders: OrderCore,
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._families = families
        self._family = family
        self._orders = orders
        self._clock = clock

    async def start(self, ride: Ride) -> None:
        """Shares a ride with the rider's family, whoever will be in it, for as long as the rider is.

        A ride without its rider is that of the order's rider.

        Raises:
            OrderNotFound: The rider is not given, and there is no such order.
            NotInFamily: The rider is in no family.
            SharingKeyConflict: The key is that of another order.
            DependencyUnavailable: family, or order_core, is. Nothing is changed.
        """
        # Looked up before the transaction: a family service that is slow keeps no row locked.
        rider = ride.yandex_uid or await self._orders.rider_of(ride.order_id)
        ride = replace(ride, yandex_uid=rider)
        family = await self._family.family_of(rider)
        async with self._database.transaction() as connection:
            now = self._clock()
            # What was read may have changed since, and the change may have arrived before this ride was there for it.
            membership_id = await self._families.join(connection, family, rider, now)
            if membership_id is None:
                raise NotInFamily
            if not await self._store.lock_new_or_known(connection, ride, now):
                raise SharingKeyConflict(ride.order_id)
            await self._store.delete_phones(connection, ride.sharing_key, Origin.FAMILY)
            await self._store.put_family_ride(connection, ride.sharing_key, family.family_id, membership_id, now)

    async def stop(self, ride: Ride) -> None:
        """Stops sharing a ride with the family; one that is unknown or not shared with one stays as it is.

        Raises:
            SharingKeyConflict: The key is that of another order.
        """
        async with self._database.transaction() as connection:
            order_id = await self._store.lock_known(connection, ride.sharing_key)
            if order_id is None:
                return
            if order_id != ride.order_id:
                raise SharingKeyConflict(ride.order_id)
            await self._store.delete_phones(connection, ride.sharing_key, Origin.FAMILY)
            await self._store.end_family_ride(connection, ride.sharing_key, self._clock())
