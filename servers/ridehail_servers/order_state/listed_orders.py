"""Which lists of orders can be used."""

from __future__ import annotations

from collections.abc import Iterable

from ridehail_kernel.text_rules import is_id

from .orders import ActiveOrder

_LONGEST_STATUS = 128
_LARGEST_SEQUENCE = 2**63 - 1


def is_usable(orders: Iterable[ActiveOrder]) -> bool:
    """Tells whether a service's list keeps to the contract: each order once, and ids that apps may send back.

    A list that does not is no list at all: to show the rest of it would be to hide orders.

    Args:
        orders: As the service told them. Not trusted.
    """
    seen: set[str] = set()
    for order in orders:
        if order.orderid in seen or not _is_sound(order):
            return False
        seen.add(order.orderid)
    return True


def _is_sound(order: ActiveOrder) -> bool:
    ids = (order.orderid, *order.parts.keys(), *order.parts.values())
    return all(map(is_id, ids)) and len(order.status) <= _LONGEST_STATUS and 0 <= order.sequence <= _LARGEST_SEQUENCE
