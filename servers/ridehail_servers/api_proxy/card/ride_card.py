"""What the card of a ride under way shows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from ridehail_clients import OrderInfo, OrderRoad, RoadStatus
from ridehail_servers.chassis.errors import OrderNotFound

from .dependencies import OrderCore, RouteSharing, TollRoads
from .metrics import TOGGLES
from .promos import CardPromos, PromoRequest

_ROLE_THAT_SHARES = "user"


@dataclass(frozen=True, slots=True)
class Rider:
    """The rider who looks at a card. Personal: never logged.

    Attributes:
        yandex_uid: The account.
        family_role: `user` or `owner`; empty: in no family.
        locale: The rider's languages, as in the header Accept-Language, at most 256 characters.
    """

    yandex_uid: str
    family_role: str
    locale: str


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a ride.

    Attributes:
        order_id: The order.
        status: Where it stands, in order_core's words.
        road: `NONE`: there is none; `UNKNOWN`: toll_roads did not respond in time.
        promos: Encoded, or None if nobody knows them.
    """

    order_id: str
    status: str
    road: OrderRoad | RoadStatus
    promos: bytes | None


class RideCards:
    """Puts the cards of rides together."""

    def __init__(self, orders: OrderCore, roads: TollRoads, sharing: RouteSharing, promos: CardPromos) -> None:
        self._orders = orders
        self._roads = roads
        self._sharing = sharing
        self._promos = promos

    async def get(self, rider: Rider, order_id: str, *, share_with_family: bool | None) -> Card:
        """Returns the card of a ride, after the rider's toggle has had its effect.

        Args:
            rider: Who looks at it.
            order_id: The order.
            share_with_family: To what the rider has moved the toggle, or None if not moved.

        Raises:
            OrderNotFound: There is no such order, or it is another rider's.
            DependencyUnavailable: order_core does not return the order.
        """
        order = await self._orders.get_order(order_id)
        if order.yandex_uid != rider.yandex_uid:
            raise OrderNotFound(order_id)
        road = asyncio.create_task(self._roads.get_road(order_id))
        try:
            promos = await self._get_promos(rider, order, share_with_family=share_with_family)
            return Card(order_id, order.status, await road, promos)
        finally:
            road.cancel()

    async def _get_promos(self, rider: Rider, order: OrderInfo, *, share_with_family: bool | None) -> bytes | None:
        request = PromoRequest(order.order_id, order.sharing_key, rider.family_role, rider.locale)
        if share_with_family is None:
            return await self._promos.get(request)
        if rider.family_role != _ROLE_THAT_SHARES or not order.sharing_key:
            reason = "no_sharing_key" if rider.family_role == _ROLE_THAT_SHARES else "role"
            TOGGLES.labels(f"passed_over_{reason}").inc()
            return await self._promos.get(request)
        share = partial(self._sharing.share, order, share_with_family=share_with_family)
        return await self._promos.get_after_change(request, share_with_family=share_with_family, change=share)
