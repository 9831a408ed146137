"""The last known roads of orders, for when toll roads is unavailable.

Source: the consumers of RetrieveOrder in the toll-roads design: "clients show the last state of the road type from the
local cache; if there is no cache, they show that a network error happened".
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Generic, Protocol, TypeVar

from ridehail_clients.models import CardRoad, OrderRoad

Road = TypeVar("Road", OrderRoad, CardRoad)
"""The road of an order, as toll roads or as the card of its ride has it."""


class LastRoads(Protocol[Road]):
    """Where the last known roads are kept, by order id: a dict, a cache of cachetools, any `MutableMapping`.

    What it raises reaches the caller of `retrieve_order` or `taxi_on_the_way`.
    """

    def get(self, order_id: str, /) -> Road | None:
        """Returns the road kept for the order, or None."""

    def __setitem__(self, order_id: str, road: Road, /) -> None:
        """Keeps a road."""

    def pop(self, order_id: str, default: None, /) -> Road | None:
        """Drops the road of the order, if there is one."""


RoadCache = LastRoads[OrderRoad]
"""Where `retrieve_order` keeps the last known roads."""

CardRoadCache = LastRoads[CardRoad]
"""Where `taxi_on_the_way` keeps them."""

# One lock for all caches: most are not safe for threads, and each is touched for a moment at a time. Reentrant, because
# a cache may call a client itself.
_LOCK = threading.RLock()


class RoadFallback(Generic[Road]):
    """The last known road of one order, during one call.

    The service's response replaces whatever was kept when the call began. But calls end in any order, so what another
    call has put there in the meantime is replaced only by a change that is not older.
    """

    def __init__(self, cache: LastRoads[Road], order_id: str) -> None:
        """Reads what is kept before the service is called."""
        self._cache: LastRoads[Road] = cache
        self._order_id = order_id
        with _LOCK:
            self._before: Road | None = cache.get(order_id)

    def remember(self, road: Road) -> None:
        """Keeps the road that the service returned, unless a newer one came in the meantime."""
        with _LOCK:
            present = self._cache.get(self._order_id)
            if present is None or present == self._before or not _is_older(road, present):
                self._cache[self._order_id] = road

    def forget(self) -> None:
        """Drops what was kept when the call began: the service has no such order any more."""
        with _LOCK:
            if self._cache.get(self._order_id) == self._before:
                self._cache.pop(self._order_id, None)

    def last_known(self) -> Road | None:
        """Returns the last known road, marked as stale, or None if none is known."""
        with _LOCK:
            kept = self._cache.get(self._order_id)
        return None if kept is None else dataclasses.replace(kept, stale=True)


def _is_older(road: OrderRoad | CardRoad, other: OrderRoad | CardRoad) -> bool:
    # Without both timestamps the two cannot be compared, and the later response counts.
    if not (isinstance(road, OrderRoad) and isinstance(other, OrderRoad)):
        return False
    return road.created is not None and other.created is not None and road.created < other.created
