"""The rows that are archived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ArchivedTable(StrEnum):
    """A table whose rows are archived: its name in the database and in the archive."""

    ORDERS = "orders"
    LOG = "log_has_toll_road"


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as it is archived: without its passenger, who is needed during the ride only.

    Attributes:
        order_id: The order.
        created_at: When it was made; aware.
        offer_id: The offer that it was made from, if any.
        can_switch_road: Whether the rider might switch the road during the ride.
    """

    order_id: str
    created_at: datetime
    offer_id: str | None
    can_switch_road: bool


@dataclass(frozen=True, slots=True)
class LogRow:
    """A change of an order's road.

    Attributes:
        order_id: The order.
        created_at: When it was made; aware.
        has_toll_road: To the toll road or to the free one.
    """

    order_id: str
    created_at: datetime
    has_toll_road: bool


Row = OrderRow | LogRow

ROW_TYPES: dict[ArchivedTable, type[Row]] = {
    ArchivedTable.ORDERS: OrderRow,
    ArchivedTable.LOG: LogRow,
}
"""The rows of each table; their fields are its archived columns."""
