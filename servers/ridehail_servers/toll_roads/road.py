"""The road that an order goes by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Road:
    """The road that an order goes by.

    Attributes:
        order_id: The order.
        has_toll_road: By the toll road or by the free one.
        can_switch_road: Whether the rider may switch it during the ride; False while the order has no passenger.
        created: When the latest change was made; None when only the offer is known.
    """

    order_id: str
    has_toll_road: bool
    can_switch_road: bool
    created: datetime | None
