"""Decides who may be in a family, and who must stay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import InvalidRequest

from .errors import FamilyAdminNotRemovable, FamilyFull, SessionIncomplete

MAX_MEMBERS: Final = 50
"""The admin among them."""
# As the contract has it for the accounts of members.
_ACCOUNT: Final = re.compile("[1-9][0-9]{0,17}")


class Role(StrEnum):
    """What a member is to the family."""

    USER = "user"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a family; the admin is the one with the role `owner`.

    Attributes:
        name: How the family calls the member; empty: by no name. The admin is called by `Family.admin_name`.
        membership_id: Of this time in the family; empty for a rider who is not in it yet.
    """

    yandex_uid: str
    phone_id: str
    role: Role
    name: str = ""
    membership_id: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """A family: the admin first, whom it calls by `admin_name`, then the members in the order of their addition."""

    family_id: str
    admin_name: str
    members: tuple[Member, ...]

    @property
    def admin(self) -> Member:
        """The member who pays."""
        return next(member for member in self.members if member.role is Role.OWNER)

    def member(self, yandex_uid: str) -> Member | None:
        """Returns the rider as a member, or None if the rider is not in the family."""
        return next((member for member in self.members if member.yandex_uid == yandex_uid), None)


@dataclass(frozen=True, slots=True)
class Membership:
    """A rider's time in a family; who leaves and comes back has another id."""

    membership_id: str
    yandex_uid: str
    phone_id: str


@dataclass(frozen=True, slots=True)
class FamilySnapshot:
    """A family at one version, as those store it who follow families.

    Attributes:
        version: Grows with every change.
        admin_uid: Who pays; None once the family is disbanded.
        admin_name: How the family calls the admin; empty once it is disbanded.
        members: The admin among them; none once the family is disbanded.
    """

    family_id: str
    version: int
    admin_uid: str | None
    admin_name: str
    members: tuple[Membership, ...]


@dataclass(frozen=True, slots=True)
class UnpublishedFamily:
    """A family with changes that followers have not confirmed, the oldest of them made at `since`."""

    snapshot: FamilySnapshot
    since: datetime


def check_session(yandex_uid: str, phone_id: str) -> None:
    """Checks that a passenger's session has what a member of a family needs.

    Raises:
        SessionIncomplete: The account is no whole number, or the phone is unknown.
    """
    if not _ACCOUNT.fullmatch(yandex_uid):
        raise SessionIncomplete("yandex_uid")
    if not phone_id:
        raise SessionIncomplete("phone_id")


def check_addition(family: Family, addition: Member) -> None:
    """Checks that a rider may be added to a family, or a member's phone changed.

    Raises:
        InvalidRequest: The admin is to lose the role `owner`, or another rider is to get it.
        FamilyFull: The rider would be one too many.
    """
    present = family.member(addition.yandex_uid)
    if addition.role is not (present.role if present is not None else Role.USER):
        must_be = "must be `owner` for the family's admin, and `user` for everybody else"
        raise InvalidRequest([FieldViolation("member.role", must_be, "family.one_owner")])
    if present is None and len(family.members) >= MAX_MEMBERS:
        raise FamilyFull(MAX_MEMBERS)


def check_removal(family: Family, yandex_uid: str) -> None:
    """Checks that a rider, a member or not, may be removed from a family.

    Raises:
        FamilyAdminNotRemovable: The rider is the family's admin.
    """
    if family.admin.yandex_uid == yandex_uid:
        raise FamilyAdminNotRemovable
