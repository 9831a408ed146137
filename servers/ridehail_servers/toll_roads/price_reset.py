"""How an order's document gives up its fixed price, so that the taximeter counts.

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
    """The part of an order's document that a reset depends on.

    Attributes:
        version: Of the document.
        has_fixed_price: Whether the document has one.
        changes: `changes.objects`; elements of other types than ours belong to others.
    """

    version: int
    has_fixed_price: bool
    changes: Sequence[JsonValue]


@dataclass(frozen=True, slots=True)
class PriceReset:
    """An update of an order's document, to be made as a whole, and only if the document still has this version."""

    expected_version: int
    set: JsonObject
    unset: Sequence[str]
    push: dict[str, list[JsonValue]]
    increment: dict[str, int]


def price_reset(order_id: str, order: PricedOrder, *, created: datetime, first_created: datetime) -> PriceReset | None:
    """Returns the update that resets the price, or None if there is nothing to reset.

    There is nothing to reset if the document has no fixed price, or if it has the reset of this very switch: then a
    price that is there was fixed again since.

    Args:
        order_id: The order.
        order: The state of its document.
        created: Of the switch; aware.
        first_created: Of the order's first road; aware, before `created`.

    Raises:
        PriceChangesOutOfOrder: With this reset the document's elements of type `taximeter_price` would not be strictly
            ordered by `created`, or one that is there has no readable `created`.
    """
    recorded = [change for change in order.changes if _field(change, "type") == TAXIMETER_PRICE]
    reset = _element(order_id, created, value=True)
    if not order.has_fixed_price or any(_field(change, "id") == reset["id"] for change in recorded):
        return None
    added = [reset] if recorded else [_element(order_id, first_created, value=False), reset]
    timestamps = [_created_of(order_id, change) for change in (*recorded, *added)]
    if any(later <= earlier for earlier, later in pairwise(timestamps)):
        raise PriceChangesOutOfOrder(order_id)
    return PriceReset(
        expected_version=order.version,
        set={NEED_SYNC: True},
        unset=(FIXED_PRICE, DRIVER_PRICE),
        push={CHANGES: [*added], STATUS_UPDATES: [{"c": _text(created), "q": TAXIMETER_PRICE}]},
        increment={VERSION: 1},
    )


def _element(order_id: str, created: datetime, *, value: bool) -> JsonObject:
    """Returns an element of `changes.objects`; order and timestamp determine its id."""
    text = _text(created)
    identity = uuid.uuid5(_IDS, f"{order_id}\n{text}")
    return {"id": str(identity), "type": TAXIMETER_PRICE, "created": text, "value": value}


def _text(created: datetime) -> str:
    return created.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _created_of(order_id: str, change: JsonValue) -> datetime:
    text = _field(change, "created")
    try:
        created = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        created = None
    if created is None or created.tzinfo is None:
        raise PriceChangesOutOfOrder(order_id)
    return created


def _field(change: JsonValue, name: str) -> JsonValue:
    return change.get(name) if isinstance(change, dict) else None
