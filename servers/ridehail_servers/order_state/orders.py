"""Orders: as apps know them, as providers list them, as they are stored, and as an app receives them.

Those that a poll walks through are tuples, which take a fraction of a frozen dataclass' time to make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from ridehail_kernel.text_rules import is_id

TAXI = "taxi"

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        TAXI: "order-core",
        "eats": "eats-orders",
        "grocery": "grocery-orders",
    }
)
"""The provider registry: service, as apps know it -> the server that keeps its orders, in the order of responses. A new
one is one line here, and its contract served under that name."""

Details: TypeAlias = Any
"""Whatever else an order has, in the form in which it came; passed on, never read. None: nothing."""

_MAX_STATUS = 128
_MAX_SEQUENCE = 2**63 - 1


class UpdateStatus(StrEnum):
    """How far the state of an order can be trusted."""

    ACTUAL = "actual"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class OrderKey:
    """Names an order: `orderid` is unique within its service."""

    service: str
    orderid: str


class KnownOrder(NamedTuple):
    """An order as an app knows it. Nothing of it is trusted.

    Attributes:
        tags: Part -> version of what the app has of it.
        force: Whether the app wants every part again.
    """

    service: str
    orderid: str
    status: str
    tags: Mapping[str, str]
    force: bool
    details: Details


class ActiveOrder(NamedTuple):
    """An order under way, as its provider lists it.

    Attributes:
        parts: Part -> version.
        sequence: The number of its latest change; 0: the provider does not number changes.
    """

    orderid: str
    status: str
    parts: Mapping[str, str]
    sequence: int
    details: Details


@dataclass(frozen=True, slots=True)
class ActiveOrders:
    """A provider's response about a rider.

    Attributes:
        can_make_more_orders: Whether the rider may make one more, or None if the provider has no opinion.
    """

    orders: Sequence[ActiveOrder]
    can_make_more_orders: bool | None = None
    no_more_orders_reason: str | None = None


PartVersion: TypeAlias = tuple[str, int]
"""An opaque version of a part, and the number of the order's change that it came with."""


class RecordedOrder(NamedTuple):
    """What is stored of an order of one rider.

    Attributes:
        reported: Whether its provider reported it; else its provider only listed it.
        finish_sequence: The number of the change that said whether it has ended; 0: none did.
        parts: Part -> its newest version.
    """

    reported: bool
    finished: bool
    finish_sequence: int
    parts: Mapping[str, PartVersion]

    @property
    def is_under_way(self) -> bool:
        """Whether its provider reported it, and not its end."""
        return self.reported and not self.finished

    @property
    def has_ended(self) -> bool:
        """Whether its provider reported its end."""
        return self.reported and self.finished


RecordedOrders: TypeAlias = Mapping[str, Mapping[str, RecordedOrder]]
"""What is stored of a rider's orders: service -> orderid -> order."""


class OrderState(NamedTuple):
    """An order as an app receives it.

    Attributes:
        tags: Part -> version.
        need_request: The parts that the app should fetch, in this order.
    """

    service: str
    orderid: str
    status: str
    tags: Mapping[str, str]
    need_request: Sequence[str]
    update_status: UpdateStatus
    details: Details


def is_valid_list(orders: Iterable[ActiveOrder]) -> bool:
    """Checks that a provider's list keeps to the contract: each order once, and ids that apps may send back.

    A list that does not is refused as a whole: to show the rest of it would be to hide orders.
    """
    seen: set[str] = set()
    for order in orders:
        if order.orderid in seen or not _is_valid(order):
            return False
        seen.add(order.orderid)
    return True


def _is_valid(order: ActiveOrder) -> bool:
    ids = (order.orderid, *order.parts.keys(), *order.parts.values())
    return all(map(is_id, ids)) and len(order.status) <= _MAX_STATUS and 0 <= order.sequence <= _MAX_SEQUENCE
