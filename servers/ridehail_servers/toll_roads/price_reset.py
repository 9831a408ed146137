"""How the fixed price of an order's document is given up, so that the taximeter counts.

Source: the section "POST /4.0/toll-roads/v1/order" of the toll-roads design. Documents are order_core's (`order_proc`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from ridehail_clients import JsonObject, JsonValue

from .errors import PriceChangesOutOfOrder

FIXED_PRICE: Final = "order.fixed_price.price"
DRIVER_PRICE: Final = "order.fixed_price.driver_price"
NEED_SYNC: Final = "order_info.need_sync"
VERSION: Final = "order.version"
CHANGES: Final = "changes.objects"
STATUS_UPDATES: Final = "order_info.statistics.status_updates"

TAXIMETER_PRICE: Final = "taximeter_price"

_IDS = uuid.UUID("6b7e1f1c-3c0d-5b0e-9c62-0f4f7f0f4a11")


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """What of an order's document a reset depends on.

    Attributes:
        version: Of the document.
        has_fixed_price: Whether it has a fixed price.
        changes: `changes.objects`; elements of other types than ours are somebody else's.
    """

    version: int
    has_fixed_price: bool
    changes: Sequence[JsonValue]


@dataclass(frozen=True, slots=True)
class PriceReset:
    """An update of an order's document, to be made as a whole and of this version only.

    Attributes:
        expected_version: Of the document that it was decided by.
        set: Values to set, by path.
        unset: Paths to remove.
        push: Elements to append, by path.
        increment: Amounts to add, by path.
    """

    expected_version: int
    set: JsonObject
    unset: Sequence[str]
    push: dict[str, list[JsonValue]]
    increment: dict[str, int]


def price_reset(order_id: str, order: PricedOrder, *, at: datetime, first_road_at: datetime) -> PriceReset | None:
    """Returns the update that resets the price; None when there is nothing to reset.

    Nothing is to be reset when the document has no fixed price, or when the reset of this very moment has been made
    before: then a price that is there was fixed again since.

    Args:
        order_id: The order.
        order: What is known of its document.
        at: When the rider made the switch; aware.
        first_road_at: When the order was made; aware, before `at`.

    Raises:
        PriceChangesOutOfOrder: With this reset the document's elements of type `taximeter_price` would not be strictly
            in the order of time, or one that is there cannot be read.
    """
    recorded = [change for change in order.changes if _is_ours(change)]
    reset = _element(order_id, at, value=True)
    if not order.has_fixed_price or any(_field(change, "id") == reset["id"] for change in recorded):
        return None
    added = [reset] if recorded else [_element(order_id, first_road_at, value=False), reset]
    moments = [_moment(order_id, change) for change in (*recorded, *added)]
    if any(later <= earlier for earlier, later in pairwise(moments)):
        raise PriceChangesOutOfOrder(order_id)
    return PriceReset(
        expected_version=order.version,
        set={NEED_SYNC: True},
        unset=(FIXED_PRICE, DRIVER_PRICE),
        push={CHANGES: [*added], STATUS_UPDATES: [{"c": _text(at), "q": TAXIMETER_PRICE}]},
        increment={VERSION: 1},
    )


def _element(order_id: str, created: datetime, *, value: bool) -> JsonObject:
    """Returns an element of `changes.objects`; the same order and moment always give the same id."""
    text = _text(created)
    identity = uuid.uuid5(_IDS, f"{order_id}\n{text}")
    return {"id": str(identity), "type": TAXIMETER_PRICE, "created": text, "value": value}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _moment(order_id: str, change: JsonValue) -> datetime:
    text = _field(change, "created")
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PriceChangesOutOfOrder(order_id)
    return moment


def _is_ours(change: JsonValue) -> bool:
    return _field(change, "type") == TAXIMETER_PRICE


def _field(change: JsonValue, name: str) -> JsonValue:
    return change.get(name) if isinstance(change, dict) else None
