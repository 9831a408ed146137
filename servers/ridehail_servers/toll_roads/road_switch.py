"""Whether a rider's switch of the road is accepted, and whether it resets the price.

Source: the section "POST /4.0/toll-roads/v1/order" of the toll-roads design. It resets the price before it looks for a
switch with the same `created`; here that comes first, since a switch that is refused must not have reset a price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from ridehail_servers.chassis.errors import OrderNotFound

from .errors import RoadSwitchConflict, RoadSwitchNotAllowed


@dataclass(frozen=True, slots=True)
class RoadSwitch:
    """A rider's switch.

    Attributes:
        order_id: The order.
        created: When the rider made it, by the app's clock; aware. With the order it identifies the switch.
        has_toll_road: True: to the toll road. False: to the free one.
    """

    order_id: str
    created: datetime
    has_toll_road: bool


@dataclass(frozen=True, slots=True)
class SwitchableOrder:
    """The part of an order that its switches depend on.

    Attributes:
        created: Of the order; aware.
        can_switch_road: Whether its road may be switched at all.
        yandex_uid: The passenger, or None if unknown.
    """

    created: datetime
    can_switch_road: bool
    yandex_uid: str | None


@dataclass(frozen=True, slots=True)
class RecordedRoads:
    """The roads recorded for an order so far.

    The first one is that which the rider chose when ordering. An older one that arrived later does not replace it: a
    rider whose clock is behind, or who says so, would keep a price that is too low.

    Attributes:
        first_created: The `created` of the first road ...
        first_has_toll_road: ... and the road.
        last_created: The latest `created`.
        same_created_has_toll_road: The road recorded with the `created` of the new switch, or None.
    """

    first_created: datetime
    first_has_toll_road: bool
    last_created: datetime
    same_created_has_toll_road: bool | None


class Effect(Enum):
    """What an accepted switch changes; NOTHING if it is a repeat."""

    NOTHING = auto()
    RECORD = auto()
    RESET_PRICE_AND_RECORD = auto()


def check_order(switch: RoadSwitch, order: SwitchableOrder | None, *, yandex_uid: str) -> SwitchableOrder:
    """Returns the order if it allows the passenger's switch.

    Raises:
        OrderNotFound: The order is unknown, or another passenger's.
        RoadSwitchNotAllowed: Its road cannot be switched.
    """
    if order is None or order.yandex_uid != yandex_uid:
        raise OrderNotFound(switch.order_id)
    if not order.can_switch_road:
        raise RoadSwitchNotAllowed(switch.order_id)
    return order


def effect_of(switch: RoadSwitch, roads: RecordedRoads | None) -> Effect:
    """Returns the effect of a switch, given the roads recorded for its order.

    The fixed price of an order that began on the toll road is, as a rule, too low for the free one, which takes longer.
    So the latest switch to the free road resets it.

    Raises:
        OrderNotFound: No road is recorded.
        RoadSwitchConflict: The order has a switch to the other road with the same `created`.
    """
    if roads is None:
        raise OrderNotFound(switch.order_id)
    if roads.same_created_has_toll_road is not None:
        if roads.same_created_has_toll_road != switch.has_toll_road:
            raise RoadSwitchConflict(switch.order_id)
        return Effect.NOTHING
    is_latest = switch.created >= roads.last_created
    if is_latest and not switch.has_toll_road and roads.first_has_toll_road:
        return Effect.RESET_PRICE_AND_RECORD
    return Effect.RECORD
