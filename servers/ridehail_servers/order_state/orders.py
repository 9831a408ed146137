"""Orders, as apps know them, as services tell them, as they were reported, and as they are answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Details: TypeAlias = Any
"""What else is told of an order, in whatever form it came; passed on, never looked into. None: nothing."""


class UpdateStatus(StrEnum):
    """How far what is answered of an order can be trusted."""

    ACTUAL = "actual"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class OrderKey:
    """Names an order.

    Attributes:
        service: The service that keeps it.
        orderid: The order, unique within its service.
    """

    service: str
    orderid: str


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order as an app knows it. Nothing of it is trusted.

    Attributes:
        key: The order.
        status: Where it stood.
        tags: Part -> tag of what the app has of it.
        force: Whether the app wants every part again.
        details: What else the app keeps.
    """

    key: OrderKey
    status: str
    tags: Mapping[str, str]
    force: bool
    details: Details


@dataclass(frozen=True, slots=True)
class ActiveOrder:
    """An order under way, as its service tells it.

    Attributes:
        orderid: The order, unique within its service.
        status: Where it stands.
        parts: Part -> version.
        sequence: The number of its latest change; 0: the service does not number changes.
        details: What else the service tells.
    """

    orderid: str
    status: str
    parts: Mapping[str, str]
    sequence: int
    details: Details


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What a service answers about a rider.

    Attributes:
        orders: Those under way, each once.
        can_make_more_orders: Whether the rider may make one more; None: the service has no opinion.
        no_more_orders_reason: Why not; None: not said.
    """

    orders: Sequence[ActiveOrder]
    can_make_more_orders: bool | None = None
    no_more_orders_reason: str | None = None


@dataclass(frozen=True, slots=True)
class PartVersion:
    """A version of a part.

    Attributes:
        version: Opaque.
        sequence: The number of the order's change that it was told with.
    """

    version: str
    sequence: int


@dataclass(frozen=True, slots=True)
class RecordedOrder:
    """What is stored of an order of the asking rider.

    Attributes:
        key: The order.
        reported: Whether its service reported it; else its service only listed it.
        finished: Whether it has ended.
        finish_sequence: The number of the change that told so, or that it goes on; 0: none did.
        parts: Part -> the newest version that was told.
    """

    key: OrderKey
    reported: bool
    finished: bool
    finish_sequence: int
    parts: Mapping[str, PartVersion] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as it is answered.

    Attributes:
        key: The order.
        status: Where it stands.
        tags: Part -> tag.
        need_request: The parts that the app should fetch, in this order.
        update_status: How far all that can be trusted.
        details: What else is told.
    """

    key: OrderKey
    status: str
    tags: Mapping[str, str]
    need_request: Sequence[str]
    update_status: UpdateStatus
    details: Details
