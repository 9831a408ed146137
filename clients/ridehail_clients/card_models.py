"""What the clients return about the card of a ride under way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Promo:
    """A banner in the card of a ride.

    Attributes:
        id: The banner, as in `share_ride_with_family`.
        title: Its title, in the language of the request.
        text: Its text, in the language of the request; empty: none.
        image_url: The picture; empty: none.
        is_selected: The state of the banner's toggle; None: it has none.
    """

    id: str
    title: str
    text: str
    image_url: str
    is_selected: bool | None


@dataclass(frozen=True, slots=True)
class PromosOnTheWay:
    """The banners for the card of a ride.

    Attributes:
        promos: In the order in which they are shown.
        banner_set: The configured set that they are of; empty: of none.
    """

    promos: tuple[Promo, ...]
    banner_set: str


class RoadStatus(StrEnum):
    """What is known of the road of a ride: it is `KNOWN`, there is `NONE`, or it is `UNKNOWN` which it is."""

    KNOWN = "known"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CardRoad:
    """The road of a ride, as its card shows it.

    Attributes:
        has_toll_road: True: by the toll road. False: by the free one.
        can_switch_road: Whether the rider may switch the road during the ride.
        stale: True: the last known road, since the present one is unknown.
    """

    has_toll_road: bool
    can_switch_road: bool
    stale: bool = False


@dataclass(frozen=True, slots=True)
class UserActions:
    """What a rider has done in the card of a ride since it was asked for before.

    Attributes:
        share_ride_with_family: To what the rider has moved the toggle; None: not moved.
    """

    share_ride_with_family: bool | None = None


@dataclass(frozen=True, slots=True)
class RideCard:
    """What the card of a ride under way shows.

    Attributes:
        order_id: The order.
        status: Where it stands, in order_core's words.
        toll_road: The road; None: there is none, or it is unknown.
        promos: The banners; None when they cannot be told, which is not the same as none.
        toll_road_status: What is known of the road.
    """

    order_id: str
    status: str
    toll_road: CardRoad | None
    promos: tuple[Promo, ...] | None
    toll_road_status: RoadStatus
