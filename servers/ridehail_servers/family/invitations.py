"""Invites riders into families, by their phones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database

from .errors import AlreadyInFamily, FamilyNotFound, InvitationNotFound, NotFamilyOwner
from .families import Families
from .invitation import MAX_RECEIVED, Invitation, InvitationLimits, WaitingInvitation, check_invitation
from .invitation_store import InvitationStore
from .membership import Member, Role, check_addition
from .metrics import INVITATIONS


class Invitations:
    """All invitations. Each is changed under its family's lock, but for the mark that it was declined."""

    def __init__(
        self,
        database: Database,
        store: InvitationStore,
        families: Families,
        limits: Callable[[], InvitationLimits],
        *,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._store = store
        self._families = families
        self._limits = limits
        self._clock = clock
        self._new_id = new_id

    async def send(self, owner: str, phone_id: str, name: str) -> Invitation:
        """Invites whoever has a phone into the owner's family; returns the open invitation to it if there is one.

        Raises:
            FamilyNotFound: The rider is in no family.
            NotFamilyOwner: The rider is in another's.
            FamilyFull, TooManyInvitations, InvitationRateExceeded: See `check_invitation`.
        """
        limits = self._limits()
        async with self._database.transaction() as connection:
            family = await self._families.lock_owned(connection, owner)
            now = self._clock()
            unclosed = await self._store.unclosed(connection, family.family_id)
            before = next((one for one in unclosed if one.phone_id == phone_id), None)
            if before is not None and before.is_open(now):
                return before
            check_invitation(
                family,
                limits,
                open_now=sum(one.is_open(now) for one in unclosed),
                last_of_day=await self._store.sent_before(connection, owner, limits.max_a_day - 1),
                now=now,
            )
            if before is not None:
                await self._store.close(connection, before.invitation_id, family.family_id, now)
            invitation = Invitation(
                self._new_id(), family.family_id, phone_id, name, now + timedelta(hours=limits.ttl_h)
            )
            await self._store.insert(connection, invitation, owner, now)
        INVITATIONS.labels("sent").inc()
        return invitation

    async def sent(self, rider: str) -> list[Invitation]:
        """Returns the open invitations of the family that the rider owns; none if the rider owns none."""

        async def unclosed(connection: Connection) -> list[Invitation]:
            family = await self._families.owned(connection, rider)
            return await self._store.unclosed(connection, family.family_id)

        now = self._clock()
        try:
            return [one for one in await self._database.read(unclosed) if one.is_open(now)]
        except (FamilyNotFound, NotFamilyOwner):
            return []

    async def received(self, rider: str, phone_id: str) -> Sequence[WaitingInvitation]:
        """Returns the open invitations to a phone; none to an unknown phone, which is empty."""
        now = self._clock()
        return await self._database.read(
            lambda connection: self._store.received(connection, phone_id, rider, now, MAX_RECEIVED)
        )

    async def revoke(self, owner: str, invitation_id: str) -> None:
        """Withdraws an invitation of the owner's family; one that is closed stays as it is.

        Raises:
            InvitationNotFound: It is none of a family that the rider owns.
        """
        async with self._database.transaction() as connection:
            try:
                family = await self._families.lock_owned(connection, owner)
            except (FamilyNotFound, NotFamilyOwner):
                raise InvitationNotFound from None
            if not await self._store.close(connection, invitation_id, family.family_id, self._clock()):
                raise InvitationNotFound
        INVITATIONS.labels("revoked").inc()

    async def decline(self, phone_id: str, invitation_id: str) -> None:
        """Takes an invitation off the list of who has the phone.

        Raises:
            InvitationNotFound: It is not open, or to another phone.
        """
        async with self._database.transaction() as connection:
            if not await self._store.decline(connection, invitation_id, phone_id, self._clock()):
                raise InvitationNotFound
        INVITATIONS.labels("declined").inc()

    async def accept(self, rider: str, phone_id: str, invitation_id: str) -> None:
        """Makes a rider a member of the family that has invited the rider's phone; a member by it stays one.

        Raises:
            InvitationNotFound: It is not open, or to another phone.
            AlreadyInFamily: The rider is in another family.
            FamilyFull: See `check_addition`.
        """
        async with self._database.transaction() as connection:
            family_id = await self._family_of(connection, rider, phone_id, invitation_id)
            try:
                family = await self._families.lock(connection, family_id)
            except FamilyNotFound:
                raise InvitationNotFound from None
            now = self._clock()
            # Read once more, now that nobody else can change it.
            invitation = await self._store.find(connection, invitation_id)
            if invitation is None:
                raise InvitationNotFound
            is_member = family.member(rider) is not None
            if is_member and invitation.accepted_by == rider:
                return
            if not invitation.is_open_to(phone_id, now):
                raise InvitationNotFound
            if not await self._store.accept(connection, invitation, rider, now):
                raise InvitationNotFound
            if not is_member:
                member = Member(rider, phone_id, Role.USER, name=invitation.name)
                check_addition(family, member)
                if not await self._families.insert(connection, family_id, member):
                    raise AlreadyInFamily
        INVITATIONS.labels("accepted").inc()

    async def _family_of(self, connection: Connection, rider: str, phone_id: str, invitation_id: str) -> str:
        """Returns the family of an invitation that is to the phone or was accepted by the rider."""
        invitation = await self._store.find(connection, invitation_id)
        if invitation is None or (invitation.phone_id != phone_id and invitation.accepted_by != rider):
            raise InvitationNotFound
        return invitation.family_id
