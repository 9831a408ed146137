"""The gRPC services of route_sharing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from ridehail.routesharing.v1 import route_sharing_api_pb2 as api
from ridehail.routesharing.v1 import route_sharing_api_pb2_grpc as api_grpc
from ridehail.routesharing.v1 import route_sharing_pb2
from ridehail_servers.chassis.locale_choice import preferred_languages
from ridehail_servers.chassis.passenger import current_passenger

from .codec import followed_family
from .family_sharing import FamilySharing
from .followed_families import FollowedFamilies
from .popup_title import Captions, popup_title
from .ride import FamilyRide, InsertRequest, Ride
from .shared_rides import SharedRides
from .tasks import InsertOrders

Context = grpc.aio.ServicerContext[Any, Any]


class RouteSharingServicer(api_grpc.RouteSharingServiceServicer):
    """See ridehail/routesharing/v1/route_sharing_api.proto."""

    def __init__(
        self,
        family_sharing: FamilySharing,
        families: FollowedFamilies,
        shared_rides: SharedRides,
        inserts: InsertOrders,
    ) -> None:
        self._family_sharing = family_sharing
        self._families = families
        self._shared_rides = shared_rides
        self._inserts = inserts

    async def ShareWithFamily(
        self, request: api.ShareWithFamilyRequest, context: Context
    ) -> api.ShareWithFamilyResponse:
        ride = _ride(request)
        if request.share_ride_with_family.value:
            await self._family_sharing.start(ride)
        else:
            await self._family_sharing.stop(ride)
        return api.ShareWithFamilyResponse()

    async def GetSharingInfo(self, request: api.GetSharingInfoRequest, context: Context) -> api.GetSharingInfoResponse:
        info = await self._shared_rides.info(request.sharing_key)
        return api.GetSharingInfoResponse(
            phone_ids=info.phone_ids,
            family=_family_message(info.family),
            family_unknown=True if info.family_unknown else None,
        )

    async def EnqueueInsertOrder(
        self, request: api.EnqueueInsertOrderRequest, context: Context
    ) -> api.EnqueueInsertOrderResponse:
        await self._inserts.enqueue(InsertRequest(_ride(request), tuple(request.phone_ids)))
        return api.EnqueueInsertOrderResponse()

    async def PutFamily(self, request: api.PutFamilyRequest, context: Context) -> api.PutFamilyResponse:
        await self._families.put(followed_family(request.state))
        return api.PutFamilyResponse()


class PassengerRouteSharingServicer(api_grpc.PassengerRouteSharingServiceServicer):
    """See ridehail/routesharing/v1/route_sharing_api.proto."""

    def __init__(self, shared_rides: SharedRides, captions: Callable[[], Captions]) -> None:
        self._shared_rides = shared_rides
        self._captions = captions

    async def GetInfo(self, request: api.GetInfoRequest, context: Context) -> api.GetInfoResponse:
        passenger = current_passenger()
        ride = await self._shared_rides.watched(
            request.sharing_key, yandex_uid=passenger.yandex_uid, phone_id=passenger.phone_id
        )
        languages = preferred_languages(passenger.accept_language)
        return api.GetInfoResponse(
            order_id=ride.order_id, popup_title=popup_title(self._captions(), ride.family, languages)
        )


def _ride(request: api.ShareWithFamilyRequest | api.EnqueueInsertOrderRequest) -> Ride:
    rider = request.yandex_uid if request.HasField("yandex_uid") else None
    return Ride(request.sharing_key, request.order_id, rider)


def _family_message(family: FamilyRide | None) -> route_sharing_pb2.SharingFamily | None:
    if family is None:
        return None
    return route_sharing_pb2.SharingFamily(
        admin_name=family.admin_name, admin_uid=family.admin_uid, sharing_on=family.sharing_on
    )
