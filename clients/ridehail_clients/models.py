"""What the clients return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ridehail_clients.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class OrderRoad:
    """The kind of road that an order goes by, as of its latest change.

    Attributes:
        order_id: The order.
        has_toll_road: True: by the toll road. False: by the free one.
        can_switch_road: Whether the rider may switch the road during the ride.
        created: When the latest change was made (UTC); None while roads are looked up by offer.
        stale: True: the service was not available, and this is the last state known of the order. False: the service
            just told it.
    """

    order_id: str
    has_toll_road: bool
    can_switch_road: bool
    created: datetime | None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class OrderRoads:
    """The roads of many orders. Every requested id is in exactly one of the two lists.

    Attributes:
        orders: The orders that were found, in the order of the request.
        missing_order_ids: The others, in the order of the request.
    """

    orders: tuple[OrderRoad, ...]
    missing_order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderFields:
    """Some fields of an order's document.

    Attributes:
        fields: The fields that the document has, nested as they are there.
        version: `order.version` of the document.
    """

    fields: JsonObject
    version: int


@dataclass(frozen=True, slots=True)
class OrderInfo:
    """What a caller needs to show an order.

    Attributes:
        order_id: The order.
        yandex_uid: The passenger whose order it is.
        status: `order.status`; empty when the document has none.
        sharing_key: `order.rsk`, the key under which the ride is shared; empty when the document has none.
    """

    order_id: str
    yandex_uid: str
    status: str
    sharing_key: str


@dataclass(frozen=True, slots=True)
class ActiveOrder:
    """An order that is still under way.

    Attributes:
        orderid: The order, unique within its service.
        status: Where it stands, in the service's own words.
        parts: The current version of each part of the order, by part name. Versions are opaque.
        details: What else the service tells about the order.
    """

    orderid: str
    status: str
    parts: dict[str, str]
    details: JsonObject


@dataclass(frozen=True, slots=True)
class ActiveOrders:
    """A passenger's orders under way.

    Attributes:
        orders: The oldest first.
        can_make_more_orders: Whether the passenger may make one more; None: the service has no opinion.
        no_more_orders_reason: Why not, when not.
    """

    orders: tuple[ActiveOrder, ...]
    can_make_more_orders: bool | None
    no_more_orders_reason: str | None
