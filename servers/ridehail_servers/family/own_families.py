"""What passengers do with their own families."""

from __future__ import annotations

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database

from .errors import AlreadyInFamily, FamilyNotFound, NotFamilyOwner
from .families import Families
from .invitation_store import InvitationStore
from .membership import Member, Role
from .store import FamilyStore


class OwnFamilies:
    """Families as their members change them: by their own account, never by one that they name."""

    def __init__(
        self,
        database: Database,
        store: FamilyStore,
        invitations: InvitationStore,
        families: Families,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._invitations = invitations
        self._families = families
        self._clock = clock

    async def create(self, rider: str, phone_id: str, name: str) -> str:
        """Creates a family that the rider owns, or returns the one that the rider owns already.

        Raises:
            AlreadyInFamily: The rider is in another's family.
        """
        try:
            return await self._families.create(Member(rider, phone_id, Role.OWNER), name)
        except AlreadyInFamily as refused:
            try:
                # Locked: the call before this one may have ended while its commit waited for a standby, and a
                # transaction that changes nothing would wait for none.
                async with self._database.transaction() as connection:
                    return (await self._families.lock_owned(connection, rider)).family_id
            except (FamilyNotFound, NotFamilyOwner):  # left in the meantime, or another's
                raise refused from None

    async def rename_owner(self, rider: str, name: str) -> None:
        """Changes how the family calls its owner, who the rider has to be.

        Raises:
            FamilyNotFound, NotFamilyOwner: See `Families.owned`.
        """
        async with self._database.transaction() as connection:
            family = await self._families.lock_owned(connection, rider)
            if family.admin_name == name:
                return
            await self._store.rename_admin(connection, family.family_id, name)
            await self._families.changed(connection, family.family_id)

    async def leave(self, rider: str, family_id: str) -> None:
        """Takes the rider out of a family; one that the rider is not in, or that there is not, stays as it is.

        Raises:
            FamilyAdminNotRemovable: The rider owns the family.
        """
        async with self._database.transaction() as connection:
            try:
                family = await self._families.lock(connection, family_id)
            except FamilyNotFound:
                return
            if family.member(rider) is None:
                return
            await self._families.delete(connection, family, rider)

    async def remove(self, rider: str, membership_id: str) -> None:
        """Removes a member from the family that the rider owns; who is not in it stays wherever they are.

        Raises:
            FamilyNotFound, NotFamilyOwner: See `Families.owned`.
            FamilyAdminNotRemovable: The member is the rider.
        """
        async with self._database.transaction() as connection:
            family = await self._families.lock_owned(connection, rider)
            member = next((one for one in family.members if one.membership_id == membership_id), None)
            if member is not None:
                await self._families.delete(connection, family, member.yandex_uid)

    async def disband(self, rider: str, family_id: str) -> None:
        """Ends a family that the rider owns; one that the rider is not in, or that there is not, stays as it is.

        Raises:
            NotFamilyOwner: The rider is another member.
        """
        async with self._database.transaction() as connection:
            try:
                family = await self._families.lock_owned(connection, rider)
            except FamilyNotFound:
                return
            if family.family_id != family_id:
                return
            now = self._clock()
            await self._invitations.close_all(connection, family_id, now)
            await self._store.delete_members(connection, family_id)
            await self._store.mark_disbanded(connection, family_id, now)
            await self._families.changed(connection, family_id)
