"""Creates, changes and looks up families."""

from __future__ import annotations

from collections.abc import Callable

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database

from .errors import AlreadyInFamily, FamilyNotFound
from .membership import Family, FamilySnapshot, Member, check_addition, check_removal
from .publication import FamilyChanges
from .store import FamilyStore


class Families:
    """All families. Every change of one is recorded in `changes`, in the same transaction, so that it is published."""

    def __init__(
        self,
        database: Database,
        store: FamilyStore,
        changes: FamilyChanges,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._store = store
        self._changes = changes
        self._clock = clock
        self._new_id = new_id

    async def of_rider(self, yandex_uid: str) -> Family:
        """Returns a rider's family.

        Raises:
            FamilyNotFound: The rider is in none.
        """
        family = await self._database.read(lambda connection: self._store.family_of(connection, yandex_uid))
        if family is None:
            raise FamilyNotFound
        return family

    async def snapshot_of_rider(self, yandex_uid: str) -> FamilySnapshot:
        """Returns a rider's family at its present version.

        Raises:
            FamilyNotFound: The rider is in none.
        """
        family = await self._database.read(lambda connection: self._store.snapshot_of(connection, yandex_uid))
        if family is None:
            raise FamilyNotFound
        return family

    async def create(self, admin: Member, admin_name: str) -> str:
        """Creates a family of its admin alone, who has the role `owner`, and returns its id.

        Raises:
            AlreadyInFamily: The rider is in a family already.
        """
        family_id, now = self._new_id(), self._clock()
        async with self._database.transaction() as connection:
            await self._store.insert_family(connection, family_id, admin_name, now)
            if not await self._store.insert_member(connection, family_id, admin, self._new_id(), now):
                raise AlreadyInFamily
        return family_id

    async def add(self, family_id: str, addition: Member) -> None:
        """Adds a rider to a family, or changes the phone of one who is in it.

        Raises:
            FamilyNotFound: There is no such family.
            AlreadyInFamily: The rider is in another family.
            FamilyFull: See `check_addition`.
            InvalidRequest: See `check_addition`.
        """
        async with self._database.transaction() as connection:
            family = await self._locked(connection, family_id)
            check_addition(family, addition)
            present = family.member(addition.yandex_uid)
            if present is not None and present.phone_id == addition.phone_id:
                return
            if present is not None:
                await self._store.update_phone(connection, addition.yandex_uid, addition.phone_id)
            elif not await self._store.insert_member(connection, family_id, addition, self._new_id(), self._clock()):
                raise AlreadyInFamily
            await self._changes.record(connection, family_id)

    async def remove(self, family_id: str, yandex_uid: str) -> None:
        """Removes a rider from a family, if the rider is in it.

        Raises:
            FamilyNotFound: There is no such family.
            FamilyAdminNotRemovable: The rider is the family's admin.
        """
        async with self._database.transaction() as connection:
            check_removal(await self._locked(connection, family_id), yandex_uid)
            if await self._store.delete_member(connection, family_id, yandex_uid):
                await self._changes.record(connection, family_id)

    async def _locked(self, connection: Connection, family_id: str) -> Family:
        """Locks a family against every other change until the transaction ends, and returns it."""
        if not await self._store.lock_family(connection, family_id):
            raise FamilyNotFound
        family = await self._store.family(connection, family_id)
        assert family is not None
        return family
