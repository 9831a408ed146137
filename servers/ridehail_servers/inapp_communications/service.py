"""The gRPC service of inapp_communications."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.inapp.v1 import inapp_api_pb2 as api
from ridehail.inapp.v1 import inapp_api_pb2_grpc as api_grpc
from ridehail.inapp.v1 import inapp_pb2

from .banners import ShownBanner
from .promos import Promos, Ride

Context = grpc.aio.ServicerContext[Any, Any]


class InappCommunicationsServicer(api_grpc.InappCommunicationsServiceServicer):
    """See ridehail/inapp/v1/inapp_api.proto."""

    def __init__(self, promos: Promos) -> None:
        """Takes the domain.

        Args:
            promos: Tells the banners of rides.
        """
        self._promos = promos

    async def PromosOnTheWay(self, request: api.PromosOnTheWayRequest, context: Context) -> api.PromosOnTheWayResponse:
        """See the contract."""
        ride = Ride(sharing_key=request.sharing_key, family_role=request.family_role, locale=request.locale)
        promos = await self._promos.of(ride)
        return api.PromosOnTheWayResponse(
            promos=[_promo(banner) for banner in promos.banners], banner_set=promos.banner_set
        )


def _promo(banner: ShownBanner) -> inapp_pb2.Promo:
    return inapp_pb2.Promo(
        id=banner.id,
        title=banner.title,
        text=banner.text,
        image_url=banner.image_url,
        is_selected=banner.is_selected,
    )
