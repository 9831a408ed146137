"""Whether a rider's switch of the road is taken, and what it takes with it.

Source: the section "POST /4.0/toll-roads/v1/order" of the toll-roads design. It resets the price before it looks for a
switch of the same moment; here that comes first, since a switch that is refused must not have reset a price.
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
    """What an order's switches depend on.

    Attributes:
        created: When it was made; aware.
        can_switch_road: Whether its road may be switched at all.
        yandex_uid: Whose order it is; None: nobody's, as far as switches go.
    """

    created: datetime
    can_switch_road: bool
    yandex_uid: str | None


@dataclass(frozen=True, slots=True)
class RecordedRoads:
    """The roads that an order was said to go by so far.

    The first one is that which the rider chose when ordering. An older one that arrived later does not take its place:
    a rider whose clock is behind, or who says so, would keep a price that is too low.

    Attributes:
        first_created: When the first change was made ...
        first_has_toll_road: ... and to which road.
        last_created: When the latest change was made.
        same_moment: The road of the change that was made at the very moment of the new one; None: there is none.
    """

    first_created: datetime
    first_has_toll_road: bool
    last_created: datetime
    same_moment: bool | None


class Effect(Enum):
    """What a switch that is taken changes."""

    NOTHING = auto()
    """It is a repeat."""
    RECORD = auto()
    RESET_PRICE_AND_RECORD = auto()


def check_order(switch: RoadSwitch, order: SwitchableOrder | None, *, yandex_uid: str) -> SwitchableOrder:
    """Returns the order, if it allows the switch.

    Args:
        switch: The switch.
        order: Of the switch; None: it is not known.
        yandex_uid: The passenger who asks for it.

    Raises:
        OrderNotFound: The order is not known, or not this passenger's.
        RoadSwitchNotAllowed: Its road cannot be switched.
    """
    if order is None or order.yandex_uid != yandex_uid:
        raise OrderNotFound(switch.order_id)
    if not order.can_switch_road:
        raise RoadSwitchNotAllowed(switch.order_id)
    return order


def effect_of(switch: RoadSwitch, roads: RecordedRoads | None) -> Effect:
    """Tells what a switch of a switchable order changes.

    The fixed price of an order that began on the toll road is, as a rule, too low for the free one, which takes longer.
    So the latest switch to the free road resets it.

    Args:
        switch: The switch.
        roads: Of its order; None: none is recorded.

    Raises:
        OrderNotFound: No road is recorded.
        RoadSwitchConflict: The order has a switch of the same moment to the other road.
    """
    if roads is None:
        raise OrderNotFound(switch.order_id)
    if roads.same_moment is not None:
        if roads.same_moment != switch.has_toll_road:
            raise RoadSwitchConflict(switch.order_id)
        return Effect.NOTHING
    is_latest = switch.created >= roads.last_created
    if is_latest and not switch.has_toll_road and roads.first_has_toll_road:
        return Effect.RESET_PRICE_AND_RECORD
    return Effect.RECORD
