"""A ride that is shared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Why a ride is shared with a phone."""

    ORDER = "order"
    FAMILY = "family"


@dataclass(frozen=True, slots=True)
class Ride:
    """A ride, as those tell of it who have it shared.

    Attributes:
        sharing_key: The key under which it is shared.
        order_id: The order.
        yandex_uid: The rider; None: not told.
    """

    sharing_key: str
    order_id: str
    yandex_uid: str | None


@dataclass(frozen=True, slots=True)
class FamilyRide:
    """How a ride is shared with a family.

    Attributes:
        admin_uid: The family's admin.
        admin_name: How the family calls the admin, as of the latest sharing.
        sharing_on: Whether the ride is shared with the family now.
    """

    admin_uid: int
    admin_name: str
    sharing_on: bool


@dataclass(frozen=True, slots=True)
class Sharing:
    """Whom a ride is shared with.

    Attributes:
        phone_ids: The phones, each once, sorted.
        family: The family that it was last shared with, else the rider's; None: there is none, or it is not known.
        family_unknown: Whether the rider's family cannot be told.
    """

    phone_ids: tuple[str, ...]
    family: FamilyRide | None
    family_unknown: bool = False


@dataclass(frozen=True, slots=True)
class StoredSharing:
    """What is stored of whom a ride is shared with.

    Attributes:
        phone_ids: The phones, each once, sorted.
        family: The family that it was last shared with; None: it was never shared with one.
        yandex_uid: The rider; None: not reported.
    """

    phone_ids: tuple[str, ...]
    family: FamilyRide | None
    yandex_uid: str | None


@dataclass(frozen=True, slots=True)
class WatchedRide:
    """What is told of a ride to a passenger who may watch it.

    Attributes:
        order_id: The order.
        family: See `Sharing`; None also for a passenger who is not of the family.
    """

    order_id: str
    family: FamilyRide | None
