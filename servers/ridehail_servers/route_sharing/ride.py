"""Rides that are shared, and with whom."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Why a ride is shared with a phone."""

    ORDER = "order"
    FAMILY = "family"


@dataclass(frozen=True, slots=True)
class Ride:
    """A ride, as callers name it.

    Attributes:
        yandex_uid: The rider, or None if the caller does not say.
    """

    sharing_key: str
    order_id: str
    yandex_uid: str | None


@dataclass(frozen=True, slots=True)
class InsertRequest:
    """A ride, and the phones that its order is shared with; may be none."""

    ride: Ride
    phone_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FamilyRide:
    """How a ride is shared with a family.

    Attributes:
        admin_name: How the family calls the admin.
        sharing_on: Whether the ride is shared with the family now.
    """

    admin_uid: int
    admin_name: str
    sharing_on: bool


@dataclass(frozen=True, slots=True)
class SharingInfo:
    """Whom a ride is shared with.

    Attributes:
        phone_ids: The phones, each once, sorted.
        family: The family that it was last shared with, as long as the rider has been in it since, else that of the
            rider now; or None if there is none or it is unknown.
        family_unknown: Whether the rider's family could not be looked up.
    """

    phone_ids: tuple[str, ...]
    family: FamilyRide | None
    family_unknown: bool = False


@dataclass(frozen=True, slots=True)
class StoredSharing:
    """What is stored of whom a ride is shared with.

    Attributes:
        phone_ids: The phones, each once, sorted.
        family: The family that it was last shared with; None if it never was, or the rider has left that family since.
        yandex_uid: The rider, or None if nobody has said.
    """

    phone_ids: tuple[str, ...]
    family: FamilyRide | None
    yandex_uid: str | None


@dataclass(frozen=True, slots=True)
class WatchedRide:
    """A ride as a passenger who may watch it sees it; the family is None also for one who is not of it."""

    order_id: str
    family: FamilyRide | None
