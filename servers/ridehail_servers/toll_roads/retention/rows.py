"""The archived tables and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ArchivedTable(StrEnum):
    """The name of a table in the database and in the archive."""

    ORDERS = "orders"
    LOG = "log_has_toll_road"


@dataclass(frozen=True, slots=True)
class ArchivedOrder:
    """An order as it is archived: without its passenger, who is needed during the ride only."""

    order_id: str
    created_at: datetime
    offer_id: str | None
    can_switch_road: bool


@dataclass(frozen=True, slots=True)
class ArchivedChange:
    """A change of an order's road."""

    order_id: str
    created_at: datetime
    has_toll_road: bool


Row = ArchivedOrder | ArchivedChange

ROW_TYPES: dict[ArchivedTable, type[Row]] = {
    ArchivedTable.ORDERS: ArchivedOrder,
    ArchivedTable.LOG: ArchivedChange,
}
"""The rows of each table; their fields are its archived columns."""
