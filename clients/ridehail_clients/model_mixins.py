"""Ways to make generated models that the contracts do not tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    from ridehail_clients.models import ActiveOrders


class MadeOfActiveOrders:
    """Base of `Upstream`."""

    __slots__ = ()

    @classmethod
    def of(cls, answer: ActiveOrders | None) -> Self:
        """Returns what asking a service for a rider's orders came to.

        Args:
            answer: Of the service; None: it did not answer.
        """
        make = cast("Callable[..., Self]", cls)  # the fields are those of the generated class
        if answer is None:
            return make(ok=False)
        return make(
            ok=True,
            orders=answer.orders,
            can_make_more_orders=answer.can_make_more_orders,
            no_more_orders_reason=answer.no_more_orders_reason,
        )
