"""Requests and answers of route sharing."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail.routesharing.v1 import route_sharing_api_pb2 as api
from ridehail.routesharing.v1.route_sharing_pb2 import ShareRideWithFamily
from ridehail_clients._messages.fields import to_strings
from ridehail_clients.models import SharedRide, SharingFamily, SharingInfo


def share_with_family_request(
    *, order_id: str, sharing_key: str, share_ride_with_family: bool, yandex_uid: str | None
) -> api.ShareWithFamilyRequest:
    """Builds the request of ShareWithFamily."""
    return api.ShareWithFamilyRequest(
        order_id=order_id,
        sharing_key=sharing_key,
        share_ride_with_family=ShareRideWithFamily(value=share_ride_with_family),
        yandex_uid=yandex_uid,
    )


def enqueue_insert_order_request(
    *, order_id: str, sharing_key: str, phone_ids: Sequence[str], yandex_uid: str | None
) -> api.EnqueueInsertOrderRequest:
    """Builds the request of EnqueueInsertOrder."""
    return api.EnqueueInsertOrderRequest(
        order_id=order_id,
        sharing_key=sharing_key,
        phone_ids=to_strings("phone_ids", phone_ids),
        yandex_uid=yandex_uid,
    )


def sharing_info(answer: api.GetSharingInfoResponse) -> SharingInfo:
    """Reads the answer of GetSharingInfo."""
    family = None
    if answer.HasField("family"):
        family = SharingFamily(
            admin_name=answer.family.admin_name,
            admin_uid=answer.family.admin_uid,
            sharing_on=answer.family.sharing_on,
        )
    return SharingInfo(phone_ids=tuple(answer.phone_ids), family=family, family_unknown=answer.family_unknown)


def shared_ride(answer: api.GetInfoResponse) -> SharedRide:
    """Reads the answer of GetInfo."""
    return SharedRide(order_id=answer.order_id, popup_title=answer.popup_title)
