"""Requests and answers of in-app communications."""

from __future__ import annotations

from ridehail.inapp.v1 import inapp_api_pb2 as api
from ridehail.inapp.v1.inapp_pb2 import Promo as PromoMessage
from ridehail.routesharing.v1.route_sharing_pb2 import ShareRideWithFamily
from ridehail_clients.card_models import Promo, PromosOnTheWay


def promos_on_the_way_request(
    *, order_id: str, sharing_key: str, share_ride_with_family: bool | None, family_role: str, locale: str
) -> api.PromosOnTheWayRequest:
    """Builds the request of PromosOnTheWay."""
    return api.PromosOnTheWayRequest(
        order_id=order_id,
        sharing_key=sharing_key,
        share_ride_with_family=toggle(share_ride_with_family),
        family_role=family_role,
        locale=locale,
    )


def promos_on_the_way(answer: api.PromosOnTheWayResponse) -> PromosOnTheWay:
    """Reads the answer of PromosOnTheWay."""
    return PromosOnTheWay(promos=tuple(map(promo, answer.promos)), banner_set=answer.banner_set)


def promo(message: PromoMessage) -> Promo:
    """Reads a banner."""
    return Promo(
        id=message.id,
        title=message.title,
        text=message.text,
        image_url=message.image_url,
        is_selected=message.is_selected if message.HasField("is_selected") else None,
    )


def toggle(value: bool | None) -> ShareRideWithFamily | None:  # noqa: FBT001  # a value of three, not a switch
    """Builds the state of the toggle; None: it was not moved."""
    return None if value is None else ShareRideWithFamily(value=value)
