"""Whether an order that processing reports is saved.

Source: the section "toll_roads_order_save" of the toll-roads design.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class OrderSave:
    """An order that processing reports.

    Attributes:
        order_id: The order.
        created: When it was created; aware.
        offer_id: The offer that it was made from, or None.
        can_switch_road: Whether the rider may switch the road during the ride.
        user_chose_toll_road: The road that the rider chose when ordering.
        yandex_uid: The passenger, or None if unknown.
    """

    order_id: str
    created: datetime
    offer_id: str | None
    can_switch_road: bool
    user_chose_toll_road: bool
    yandex_uid: str | None

    @property
    def passenger_can_switch(self) -> bool:
        """Whether somebody may switch the road: only the order's passenger may, and has to be known."""
        return self.can_switch_road and self.yandex_uid is not None


class Refusal(StrEnum):
    """Why an order is never saved."""

    FREE_ROAD_WITH_TOLL_OFFER = "the rider chose the free road, but the offer was built by a toll road"
    OTHER_DATA = "the order is saved with other data"
    OFFER_TAKEN = "the offer belongs to another order"


def check_offer(save: OrderSave, *, offer_is_stored: bool) -> Refusal | None:
    """Checks the rider's choice against whether the order's offer is a stored toll-road one.

    A toll-road order whose offer is missing is fine: the offer may have been made while this service was down, and a
    rider must be able to order all the same; or the offer is a free-road one, which as a rule costs more.
    """
    if not save.user_chose_toll_road and offer_is_stored:
        return Refusal.FREE_ROAD_WITH_TOLL_OFFER
    return None
