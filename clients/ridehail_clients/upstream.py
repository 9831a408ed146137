"""The part of the generated `Upstream` that the contracts do not state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    from ridehail_clients.models import ActiveOrders


class FromActiveOrders:
    """Base of `Upstream`."""

    __slots__ = ()

    @classmethod
    def of(cls, response: ActiveOrders | None) -> Self:
        """Converts a service's list of a rider's orders, or None if the service returned none."""
        create = cast("Callable[..., Self]", cls)  # the fields are those of the generated class
        if response is None:
            return create(ok=False)
        return create(
            ok=True,
            orders=response.orders,
            can_make_more_orders=response.can_make_more_orders,
            no_more_orders_reason=response.no_more_orders_reason,
        )
