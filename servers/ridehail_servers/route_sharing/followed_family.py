"""Families, as far as rides are shared with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FollowedMember:
    """A member of a family, with the phone that may watch its rides.

    Attributes:
        membership_id: Of this time in the family: who leaves and comes back has another one.
    """

    membership_id: str
    yandex_uid: str
    phone_id: str


@dataclass(frozen=True, slots=True)
class FollowedAdmin:
    """Who pays for a family, and how the family calls them."""

    uid: int
    name: str


@dataclass(frozen=True, slots=True)
class FollowedFamily:
    """A family at one version; of two the higher is the newer, however they arrive.

    Attributes:
        admin: None once the family is disbanded.
        members: The admin among them; none once the family is disbanded.
    """

    family_id: str
    version: int
    admin: FollowedAdmin | None
    members: tuple[FollowedMember, ...]
