"""The gRPC service of inapp_communications."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.inapp.v1 import inapp_api_pb2 as api
from ridehail.inapp.v1 import inapp_api_pb2_grpc as api_grpc
from ridehail.inapp.v1 import inapp_pb2

from .banners import ShownBanner
from .promos import PromoSelection

Context = grpc.aio.ServicerContext[Any, Any]


class InappCommunicationsServicer(api_grpc.InappCommunicationsServiceServicer):
    """See ridehail/inapp/v1/inapp_api.proto."""

    def __init__(self, selection: PromoSelection) -> None:
        self._selection = selection

    async def PromosOnTheWay(self, request: api.PromosOnTheWayRequest, context: Context) -> api.PromosOnTheWayResponse:
        moved = request.HasField("share_ride_with_family")
        promos = await self._selection.promos(
            sharing_key=request.sharing_key,
            share_ride_with_family=request.share_ride_with_family.value if moved else None,
            family_role=request.family_role,
            locale=request.locale,
        )
        return api.PromosOnTheWayResponse(promos=map(_promo, promos.banners), banner_set=promos.banner_set)


def _promo(banner: ShownBanner) -> inapp_pb2.Promo:
    return inapp_pb2.Promo(
        id=banner.id, title=banner.title, text=banner.text, image_url=banner.image_url, is_selected=banner.is_selected
    )
