"""The gRPC service of launch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_servers.chassis.passenger import current_passenger

from .codec import launch_response, read_known_orders
from .rider_orders import RiderOrders

Context = grpc.aio.ServicerContext[Any, Any]


class LaunchServicer(api_grpc.LaunchServiceServicer):
    """See ridehail/apiproxy/v1/api_proxy_api.proto.

    Args:
        rider_orders: Finds riders' orders.
        accepted_eulas: Returns the ids of the agreements that a rider, by uid, has accepted, or None if unknown.
    """

    def __init__(
        self, rider_orders: RiderOrders, accepted_eulas: Callable[[str], Awaitable[Sequence[str] | None]]
    ) -> None:
        self._rider_orders = rider_orders
        self._accepted_eulas = accepted_eulas

    async def Launch(self, request: api.LaunchRequest, context: Context) -> api.LaunchResponse:
        known = read_known_orders(request.known_orders)
        yandex_uid = current_passenger().yandex_uid
        state, accepted = await asyncio.gather(
            self._rider_orders.get(
                yandex_uid, supported_services=request.supported_services, known_orders=known.orders
            ),
            self._accepted_eulas(yandex_uid),
        )
        return await launch_response(state, accepted, others=known.others)
