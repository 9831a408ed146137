"""Creates, changes and looks up families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database

from .errors import AlreadyInFamily, FamilyNotFound, NotFamilyOwner
from .membership import Family, FamilySnapshot, Member, Role, check_addition, check_removal
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
        admin = replace(admin, membership_id=self._new_id())
        async with self._database.transaction() as connection:
            await self._store.insert_family(connection, family_id, admin_name, now)
            if not await self._store.insert_member(connection, family_id, admin, now):
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
            family = await self.lock(connection, family_id)
            check_addition(family, addition)
            present = family.member(addition.yandex_uid)
            if present is None:
                if not await self.insert(connection, family_id, addition):
                    raise AlreadyInFamily
            elif present.phone_id != addition.phone_id:
                await self._store.update_phone(connection, family_id, addition.yandex_uid, addition.phone_id)
                await self.changed(connection, family_id)

    async def remove(self, family_id: str, yandex_uid: str) -> None:
        """Removes a rider from a family, if the rider is in it.

        Raises:
            FamilyNotFound: There is no such family.
            FamilyAdminNotRemovable: The rider is the family's admin.
        """
        async with self._database.transaction() as connection:
            await self.delete(connection, await self.lock(connection, family_id), yandex_uid)

    # --- steps of other changes, each in the transaction of its connection

    async def lock(self, connection: Connection, family_id: str) -> Family:
        """Locks a family against every other change until the transaction ends, and returns it.

        Raises:
            FamilyNotFound: There is no such family.
        """
        if not await self._store.lock_family(connection, family_id):
            raise FamilyNotFound
        family = await self._store.family(connection, family_id)
        assert family is not None
        return family

    async def owned(self, connection: Connection, rider: str) -> Family:
        """Returns the family that a rider owns.

        Raises:
            FamilyNotFound: The rider is in none.
            NotFamilyOwner: The rider is in another's.
        """
        return _owned_by(rider, await self._store.family_of(connection, rider))

    async def lock_owned(self, connection: Connection, rider: str) -> Family:
        """Locks the family that a rider owns as `lock` does; raises as `owned` does."""
        family = await self.owned(connection, rider)
        return _owned_by(rider, await self.lock(connection, family.family_id))

    async def insert(self, connection: Connection, family_id: str, member: Member) -> bool:
        """Stores a new member of a locked family; returns False if the rider is in a family already."""
        member = replace(member, membership_id=self._new_id())
        if not await self._store.insert_member(connection, family_id, member, self._clock()):
            return False
        await self.changed(connection, family_id)
        return True

    async def delete(self, connection: Connection, family: Family, yandex_uid: str) -> None:
        """Removes a rider from a locked family, if the rider is in it; raises as `check_removal` does."""
        check_removal(family, yandex_uid)
        if await self._store.delete_member(connection, family.family_id, yandex_uid):
            await self.changed(connection, family.family_id)

    async def changed(self, connection: Connection, family_id: str) -> None:
        """Has a locked family that was changed published."""
        await self._changes.record(connection, family_id)


def _owned_by(rider: str, family: Family | None) -> Family:
    member = None if family is None else family.member(rider)
    if family is None or member is None:
        raise FamilyNotFound
    if member.role is not Role.OWNER:
        raise NotFamilyOwner
    return family
