"""Resets orders' prices in order_core."""

from __future__ import annotations

import time
from datetime import datetime

import tenacity

from ridehail_kernel import call_context
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.errors import DependencyUnavailable

from .order_core import DocumentChanged, OrderCore
from .price_reset import price_reset

_ATTEMPTS = 4
_FIRST_WAIT_S = 0.02
_LONGEST_WAIT_S = 0.5
# All attempts together.
_MAX_RESET_S = 5.0


class PriceResets:
    """Resets prices, each at most once, whatever fails in between."""

    def __init__(self, order_core: OrderCore) -> None:
        self._order_core = order_core

    async def reset(self, order_id: str, *, at: datetime, first_road_at: datetime) -> None:
        """Resets the order's price, if it has a fixed one.

        An update that may or may not have been made, and one that came too late, are decided anew by what the document
        is then; so a repeat is safe, this one's own and the caller's.

        Args:
            order_id: The order.
            at: When the rider made the switch that asks for it; aware.
            first_road_at: When the order was made; aware, before `at`.

        Raises:
            OrderNotFound: order_core has no such order.
            PriceChangesOutOfOrder: See `price_reset`.
            DependencyUnavailable: order_core does not answer, or others change the document all the time.
        """
        timeout_s = share_of_remaining(at_most=_MAX_RESET_S)
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_before_delay(timeout_s),
            wait=tenacity.wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
            retry=tenacity.retry_if_exception_type((DocumentChanged, DependencyUnavailable)),
            reraise=True,
        )
        try:
            with call_context.call_context(deadline=time.monotonic() + timeout_s):
                await attempts(self._attempt, order_id, at, first_road_at)
        except DocumentChanged as error:
            raise DependencyUnavailable("order-core") from error

    async def _attempt(self, order_id: str, at: datetime, first_road_at: datetime) -> None:
        order = await self._order_core.price_of(order_id)
        reset = price_reset(order_id, order, at=at, first_road_at=first_road_at)
        if reset is not None:
            await self._order_core.reset_price(order_id, reset)
