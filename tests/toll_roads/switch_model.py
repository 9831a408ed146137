"""A simple model of the switches of one order, which the services are compared with.

Nothing here is shared with the servers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum, auto


class Fault(StrEnum):
    """A failure between toll_roads and order_core during a switch."""

    NONE = auto()
    READ_LOST = auto()
    """The first read does not arrive."""
    WRITE_LOST = auto()
    """The first write does not arrive."""
    WRITE_RESPONSE_LOST = auto()
    """The first write is made, and its response is lost."""
    OVERTAKEN = auto()
    """Another writer changes the document between the first read and the first write."""
    DOWN = auto()
    """Nothing arrives."""
    DOWN_AFTER_WRITE = auto()
    """The first write is made; its response is lost, and nothing arrives any more."""


@dataclass(frozen=True)
class Switch:
    """One call, and the fault during it."""

    created: datetime
    has_toll_road: bool
    by_owner: bool = True
    fault: Fault = Fault.NONE


@dataclass(frozen=True)
class Order:
    """An order, whole.

    Attributes:
        created: When it was made.
        chose_toll_road: The road that it began on.
        can_switch_road: Whether it can be switched.
        log: The roads by `created`.
        has_price: Whether its price is fixed.
        price_changes: The recorded changes: `created` and value, in the order of the document.
    """

    created: datetime
    chose_toll_road: bool
    can_switch_road: bool
    log: tuple[tuple[datetime, bool], ...]
    has_price: bool
    price_changes: tuple[tuple[datetime, bool], ...] = ()

    @property
    def resets(self) -> int:
        return sum(value for _created, value in self.price_changes)


def after(order: Order, switch: Switch) -> tuple[str, Order]:
    """Returns the result of a switch (`OK` or a reason), and the order after it."""
    if not switch.by_owner:
        return "ORDER_NOT_FOUND", order
    if not order.can_switch_road:
        return "ROAD_SWITCH_NOT_ALLOWED", order
    log = dict(order.log)
    if switch.created in log:
        return ("OK" if log[switch.created] == switch.has_toll_road else "ROAD_SWITCH_CONFLICT"), order
    recorded = replace(order, log=tuple(sorted({**log, switch.created: switch.has_toll_road}.items())))
    if switch.has_toll_road or not order.chose_toll_road or switch.created < max(log):
        return "OK", recorded
    return _after_looking_at_the_price(order, recorded, switch)


def _after_looking_at_the_price(order: Order, recorded: Order, switch: Switch) -> tuple[str, Order]:
    if switch.fault is Fault.DOWN:
        return "NEIGHBOUR_UNAVAILABLE", order
    if not order.has_price or (switch.created, True) in order.price_changes:
        return "OK", recorded
    if order.price_changes and order.price_changes[-1][0] >= switch.created:
        return "PRICE_CHANGES_OUT_OF_ORDER", order
    initial = () if order.price_changes else ((order.created, False),)
    reset = {"has_price": False, "price_changes": (*order.price_changes, *initial, (switch.created, True))}
    if switch.fault is Fault.DOWN_AFTER_WRITE:
        return "NEIGHBOUR_UNAVAILABLE", replace(order, **reset)  # type: ignore[arg-type]  # the fields' own types
    return "OK", replace(recorded, **reset)  # type: ignore[arg-type]  # the fields' own types
