"""What the other services and the apps do meanwhile: each repeats a call until it is acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_clients import AsyncOrderCoreClient, AsyncTollRoadsClient, OrderNotFound, ServiceError
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.chassis.timestamps import to_timestamp
from tests.crash.journal import Journal, OrderJournal
from tests.support.calls import call
from tests.support.passengers import SWITCH_ROAD

UID = "4000000001"
# Young orders; orders to archive; orders to archive and to delete.
AGES = [timedelta(minutes=5), timedelta(hours=25), timedelta(hours=49)]
# How calls fail whose server, database or dependency is being killed.
_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
# A call that a killed process leaves without an answer ends by its own deadline; then it is repeated.
GIVEN_UP_AFTER_S = 60.0


class Traffic:
    """Creates orders and switches their roads, several at a time."""

    def __init__(self, address: str, keys: KeyRing, journal: Journal, random_numbers: random.Random) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._gateway = TicketIssuer(keys, "gateway")
        self._admin = AsyncOrderCoreClient(self._channel, ticket=TicketIssuer(keys, "admin"))
        self._processing = AsyncTollRoadsClient(self._channel, ticket=TicketIssuer(keys, "processing"))
        self._routestats = AsyncTollRoadsClient(self._channel, ticket=TicketIssuer(keys, "routestats"))
        self._api_proxy = AsyncTollRoadsClient(self._channel, ticket=TicketIssuer(keys, "api-proxy"))
        self._journal = journal
        self._random = random_numbers
        self._numbers = itertools.count()

    async def run(self, stop: asyncio.Event, *, at_once: int = 4) -> None:
        """Creates orders until it is stopped; returns when all of them are finished."""

        async def one_after_the_other() -> None:
            while not stop.is_set():
                await self._ride()
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(one_after_the_other())
        await self._channel.close()

    async def _ride(self) -> None:
        number = next(self._numbers)
        order_id, offer_id = f"order-{number}", f"offer-{number}"
        order = OrderJournal(datetime.now(UTC) - self._random.choice(AGES), self._random.random() < 0.8)
        self._journal.orders[order_id] = order
        document = {"order": {"fixed_price": {"price": 1290}}}
        await self._insist(lambda: self._admin.put_order(order_id=order_id, yandex_uid=UID, document=document))
        if order.chose_toll_road and await self._routestats.save_offer(offer_id=offer_id):
            self._journal.offers.add(offer_id)
        await self._insist(
            lambda: self._processing.enqueue_order_save(
                order_id=order_id,
                created=order.created,
                offer_id=offer_id,
                can_switch_road=True,
                user_chose_toll_road=order.chose_toll_road,
                yandex_uid=UID,
            )
        )
        order.is_saved = True
        if order.created < datetime.now(UTC) - timedelta(hours=48):
            return  # it may be deleted before it is switched
        await self._insist(lambda: self._api_proxy.retrieve_order(order_id=order_id), unless=OrderNotFound)
        for number in range(self._random.randint(1, 4)):
            # An old order may have a young switch, which keeps the order.
            base = order.created if self._random.random() < 0.7 else datetime.now(UTC)
            await self._switch(
                order_id, order, base + timedelta(seconds=number + 1), to_toll=self._random.random() < 0.3
            )

    async def _switch(self, order_id: str, order: OrderJournal, created: datetime, *, to_toll: bool) -> None:
        request = toll_roads.SwitchRoadRequest(order_id=order_id, has_toll_road=to_toll, created=to_timestamp(created))
        order.asked[created] = to_toll

        async def send() -> None:
            metadata = (("x-ya-service-ticket", self._gateway("toll-roads", Identity(UID))),)
            await call(self._channel, SWITCH_ROAD, request, metadata=metadata, timeout=3)

        await self._insist(send)
        order.acknowledged[created] = to_toll

    async def _insist(
        self, action: Callable[[], Awaitable[object]], *, unless: type[ServiceError] | tuple[()] = ()
    ) -> None:
        """Repeats a call while it fails because something is being killed."""
        async with asyncio.timeout(GIVEN_UP_AFTER_S):
            while True:
                try:
                    await action()
                except unless:
                    pass  # not yet
                except ServiceError as error:
                    if error.code not in _PASSING:
                        raise
                    self._journal.failures_seen += 1
                else:
                    return
                await asyncio.sleep(0.05)
