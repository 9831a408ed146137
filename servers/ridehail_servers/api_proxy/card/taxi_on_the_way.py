"""What the card of a ride under way shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ridehail_clients import CardRoad, OrderInfo, Promo, RideCard, RoadStatus
from ridehail_servers.chassis.errors import OrderNotFound

from .promos import Question
from .rider import Rider

_WHO_MAY_SHARE = "user"


class Orders(Protocol):
    """Knows orders."""

    async def info_of(self, order_id: str) -> OrderInfo:
        """Returns what there is to show of an order.

        Raises:
            OrderNotFound: There is no such order.
            DependencyUnavailable: It cannot be told.
        """


class Roads(Protocol):
    """Knows the roads of orders."""

    async def road_of(self, order_id: str) -> CardRoad | RoadStatus:
        """Returns the road of an order; `NONE` when there is none, `UNKNOWN` when it cannot be told in time."""


class Promos(Protocol):
    """Knows banners."""

    async def of(self, question: Question) -> Sequence[Promo] | None:
        """Returns the banners; None when they cannot be told."""

    async def after(
        self, question: Question, *, moved_to: bool, change: Callable[[], Awaitable[bool]]
    ) -> Sequence[Promo] | None:
        """Makes a change, and returns the banners as they are afterwards; None when they cannot be told."""


class Sharing(Protocol):
    """Shares rides."""

    async def share_with_family(self, order: OrderInfo, *, share: bool) -> bool:
        """Shares a ride with the rider's family, or stops to; returns whether it is known what has come of it."""

    def pass_over(self, reason: str) -> None:
        """Notes that a toggle was passed over."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Whom a card is made of.

    Attributes:
        orders: Knows orders.
        roads: Knows their roads.
        sharing: Shares rides.
        promos: Knows banners.
    """

    orders: Orders
    roads: Roads
    sharing: Sharing
    promos: Promos


class TaxiOnTheWay:
    """Makes the cards of rides.

    Args:
        neighbours: Whom they are made of.
    """

    def __init__(self, neighbours: Neighbours) -> None:
        self._orders = neighbours.orders
        self._roads = neighbours.roads
        self._sharing = neighbours.sharing
        self._promos = neighbours.promos

    async def card(self, rider: Rider, order_id: str, *, moved_to: bool | None) -> RideCard:
        """Returns the card of a ride, after the rider's toggle has had its effect.

        Args:
            rider: Who looks at it.
            order_id: The order.
            moved_to: To what the rider has moved the toggle; None: not moved.

        Raises:
            OrderNotFound: There is no such order, or it is another rider's.
            DependencyUnavailable: The order cannot be told.
        """
        order = await self._orders.info_of(order_id)
        if order.yandex_uid != rider.yandex_uid:
            raise OrderNotFound(order_id)
        road, promos = await asyncio.gather(
            self._roads.road_of(order_id), self._promos_of(rider, order, moved_to=moved_to)
        )
        return RideCard(
            order_id=order_id,
            status=order.status,
            toll_road=None if isinstance(road, RoadStatus) else road,
            promos=None if promos is None else tuple(promos),
            toll_road_status=road if isinstance(road, RoadStatus) else RoadStatus.KNOWN,
        )

    async def _promos_of(self, rider: Rider, order: OrderInfo, *, moved_to: bool | None) -> Sequence[Promo] | None:
        question = Question(order.order_id, order.sharing_key, rider.family_role, rider.locale)
        if moved_to is None:
            return await self._promos.of(question)
        if rider.family_role != _WHO_MAY_SHARE or not order.sharing_key:
            self._sharing.pass_over("role" if rider.family_role != _WHO_MAY_SHARE else "no_sharing_key")
            return await self._promos.of(question)
        share = moved_to

        async def change() -> bool:
            return await self._sharing.share_with_family(order, share=share)

        return await self._promos.after(question, moved_to=moved_to, change=change)
