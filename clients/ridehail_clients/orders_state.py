"""A rider's orders as an app keeps them, and what order state tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ridehail_clients.json_values import JsonInput, JsonObject
from ridehail_clients.models import ActiveOrder, ActiveOrders


class UpdateStatus(StrEnum):
    """How far what is told of an order can be trusted."""

    ACTUAL = "actual"
    STALE = "stale"
    """The order's service could not be asked, and has reported nothing either: it may be out of date."""


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order as an app knows it.

    Attributes:
        orderid: The order, unique within its service.
        service: The service that keeps it, as in `taxi`.
        status: Where the order stood when the app last heard of it; 128 characters at most.
        tags: Part -> the tag that came with what the app has of it; at most 20 parts.
        force: Whether the app wants every part again, whatever it has.
        details: What else the app keeps of the order; None: nothing.
    """

    orderid: str
    service: str
    status: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    details: Mapping[str, JsonInput] | None = None


@dataclass(frozen=True, slots=True)
class LaunchKnownOrder(KnownOrder):
    """An order as an app that starts knows it.

    Attributes:
        other: Further members, of the app's own: they come back with the order. None may be named like a member of
            `KnownOrder` or `OrderState`.
    """

    other: Mapping[str, JsonInput] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order, and what of it the app should ask for.

    Attributes:
        orderid: The order, unique within its service.
        service: The service that keeps it.
        status: Where the order stands, in the service's own words.
        tags: Part -> the tag of its current version; the app keeps it once it has fetched the part.
        need_request: The parts to fetch now, in this order.
        update_status: How far this can be trusted.
        details: What else is told of the order; None: nothing.
    """

    orderid: str
    service: str
    status: str
    tags: dict[str, str]
    need_request: tuple[str, ...]
    update_status: UpdateStatus
    details: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class LaunchOrder(OrderState):
    """An order as launch tells it.

    Attributes:
        other: The further members of the known order, as they were sent.
    """

    other: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AllowedChanges:
    """Whether the rider may order more of a service.

    Attributes:
        service: The service.
        can_make_more_orders: Whether one more order may be made.
        no_more_orders_reason: Why not, as in `too_many_orders`; None where one more may be made.
    """

    service: str
    can_make_more_orders: bool
    no_more_orders_reason: str | None = None


@dataclass(frozen=True, slots=True)
class PollingPolicy:
    """How a part of orders is polled.

    Attributes:
        service: The service whose orders have the part.
        part_name: The part.
        url: The path where the app fetches the part.
        fields: The fields of the answer that make up the part.
        polling_type: When the app fetches the part: `tag_defined`, when it is in `need_request`; other words name a
            rule of the app's own.
        part_type: What the app's card makes of the part, as in `totw`.
        priority: The order of fetching: the lowest number first.
        required: Whether the card cannot be shown without the part; None: not told, it can.
    """

    service: str
    part_name: str
    url: str
    fields: tuple[str, ...]
    polling_type: str
    part_type: str
    priority: int
    required: bool | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """What asking a service for a rider's orders came to.

    Attributes:
        ok: Whether the service answered. False: the rest is empty.
        orders: The rider's orders that are under way, at most 100.
        can_make_more_orders: Whether the rider may make one more; None: the service has no opinion.
        no_more_orders_reason: Why not, when not.
    """

    ok: bool
    orders: tuple[ActiveOrder, ...] = ()
    can_make_more_orders: bool | None = None
    no_more_orders_reason: str | None = None

    @classmethod
    def of(cls, answer: ActiveOrders | None) -> Upstream:
        """Returns what it came to.

        Args:
            answer: Of the service; None: it did not answer.
        """
        if answer is None:
            return cls(ok=False)
        return cls(
            ok=True,
            orders=answer.orders,
            can_make_more_orders=answer.can_make_more_orders,
            no_more_orders_reason=answer.no_more_orders_reason,
        )


@dataclass(frozen=True, slots=True)
class OrdersState:
    """A rider's orders.

    Attributes:
        orders: Those that the app knew, in its order, then the others.
        allowed_changes: One entry for each service.
        tags: Services whose orders may be out of date -> a tag to poll with.
    """

    orders: tuple[OrderState, ...]
    allowed_changes: tuple[AllowedChanges, ...]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class OrdersStateAndPolicy(OrdersState):
    """A rider's orders and how to poll them.

    Attributes:
        polling_policy: How the parts of the supported services are polled, by priority.
    """

    polling_policy: tuple[PollingPolicy, ...]


@dataclass(frozen=True, slots=True)
class MlutpOrdersState:
    """A rider's orders and how to poll them, as launch tells it.

    Attributes:
        tags: Services whose orders may be out of date -> a tag to poll with.
        orders: Those that the app knew, in its order, then the others.
        allowed_changes: One entry for each supported service.
        polling_policy: How the parts of the supported services are polled, by priority.
    """

    tags: dict[str, str]
    orders: tuple[LaunchOrder, ...]
    allowed_changes: tuple[AllowedChanges, ...]
    polling_policy: tuple[PollingPolicy, ...]


@dataclass(frozen=True, slots=True)
class LaunchEulas:
    """A rider's agreements, as far as an app needs them at its start.

    Attributes:
        accepted: Ids of those that the rider has accepted and that are still valid.
    """

    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """What an app is told when it starts.

    Attributes:
        mlutp_orders_state: The rider's orders and how to poll them; None: the app polls as it did before there was
            this.
        eulas: The rider's agreements; None: they cannot be told.
    """

    mlutp_orders_state: MlutpOrdersState | None
    eulas: LaunchEulas | None
