"""Passengers' calls, as the gateway makes them: with its ticket, and with the passenger in the metadata."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_servers.chassis.timestamps import to_timestamp
from tests.support.calls import call
from tests.support.suite_in_process import SuiteInProcess

SWITCH_ROAD = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"


@dataclass(frozen=True)
class Passenger:
    suite: SuiteInProcess
    channel: grpc.aio.Channel
    uid: str

    async def switch_road(
        self, order_id: str, created: datetime, *, has_toll_road: bool, timeout: float | None = None
    ) -> None:
        """Switches the road of an order.

        Raises:
            ServiceError: As the client library would raise it.
        """
        request = toll_roads.SwitchRoadRequest(
            order_id=order_id, has_toll_road=has_toll_road, created=to_timestamp(created)
        )
        metadata = self.suite.metadata("gateway", "toll-roads", self.uid)
        await call(self.channel, SWITCH_ROAD, request, metadata=metadata, timeout=timeout)
