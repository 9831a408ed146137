"""Whether a rider may order more of a service."""

from __future__ import annotations

from dataclasses import dataclass

from .orders import ProviderAnswer

TOO_MANY_ORDERS = "too_many_orders"


@dataclass(frozen=True, slots=True)
class AllowedChanges:
    """Whether one more order may be made.

    Attributes:
        service: Of this service.
        can_make_more_orders: Whether.
        no_more_orders_reason: Why not; None: not said, or it may.
    """

    service: str
    can_make_more_orders: bool
    no_more_orders_reason: str | None


def allowed_changes(service: str, told: ProviderAnswer | None, *, orders: int, limit: int | None) -> AllowedChanges:
    """Returns what the service says, and where it says nothing, what the limit says.

    Args:
        service: The service.
        told: What it answered; None: nothing.
        orders: How many orders of the service the rider has, as far as known.
        limit: How many the rider may have; None: any number.
    """
    if told is not None and told.can_make_more_orders is not None:
        reason = None if told.can_make_more_orders else told.no_more_orders_reason
        return AllowedChanges(service, told.can_make_more_orders, reason)
    if limit is not None and orders >= limit:
        return AllowedChanges(service, can_make_more_orders=False, no_more_orders_reason=TOO_MANY_ORDERS)
    return AllowedChanges(service, can_make_more_orders=True, no_more_orders_reason=None)
