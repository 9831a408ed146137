"""The peak that toll_roads is made for, as an open loop: calls are sent when they are due, however slow responses are.

    python -m bench.peak [--seconds S] [--workers N] [--retrieves N] [--offers N] [--switches N]

4200 lookups a second by clients that share lookups (`coalesce=True`), of api-proxy and of driver-orders-builder; 100
offers and 10 switches of the road, each of an order with a fixed price, which it resets. Tables are at full size, and
order-core runs in the same server. A call's time is counted from when it was due, so a call that waits for a busy
generator counts as slow as well.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import uvloop

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail_clients import AsyncOrderCoreClient, AsyncTollRoadsClient, JsonInput, ServiceError, open_async_channel
from ridehail_servers import resources
from ridehail_servers.chassis import migrations
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.chassis.timestamps import to_timestamp

from .servers import NotStarted, Running, Servers
from .tables import FULL_SIZE, random_id, tables

_FOLDER = Path(__file__).parents[1] / "build" / "bench"
# Clients of each consumer, as many as it has processes: each shares lookups among its own callers only.
_PODS = {"api-proxy": 5, "driver-orders-builder": 1}
_TICK_S = 0.002
_WARM_UP_S = 3.0
_SEED = 1

Call = Callable[[], Awaitable[None]]


@dataclass
class LoadKind:
    """Calls of one kind at `rate` a second; `seconds` has the duration of each that succeeded."""

    name: str
    rate: float
    call: Call
    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    async def run(self, due: float) -> None:
        try:
            await self.call()
        except ServiceError as error:
            self.errors[error.reason or type(error).__name__] += 1
        except grpc.aio.AioRpcError as error:
            self.errors[error.code().name] += 1
        else:
            self.seconds.append(time.perf_counter() - due)


class Consumers:
    """The clients of everybody who calls toll_roads."""

    def __init__(self, address: str, keys: KeyRing, orders: int, stack: AsyncExitStack) -> None:
        self._chance = random.Random(_SEED)
        self._orders = orders
        self._keys = keys
        self._stack = stack
        self._channel = open_async_channel(address, health_check=False)
        self._address = address

    async def open(self) -> None:
        self._lookups = [
            await self._stack.enter_async_context(
                AsyncTollRoadsClient(self._address, ticket=TicketIssuer(self._keys, source), coalesce=True)
            )
            for source, pods in _PODS.items()
            for _ in range(pods)
        ]
        self._routestats = await self._stack.enter_async_context(
            AsyncTollRoadsClient(self._address, ticket=TicketIssuer(self._keys, "routestats"))
        )
        self._order_core = await self._stack.enter_async_context(
            AsyncOrderCoreClient(self._address, ticket=TicketIssuer(self._keys, "admin"))
        )
        self._stack.push_async_callback(self._channel.close, None)
        self._passengers = api_grpc.PassengerTollRoadsServiceStub(self._channel)

    async def prepare_switches(self, number: int) -> None:
        """Gives `number` orders that can be switched a document with a fixed price."""
        self._switchable = self._chance.sample(range(2, self._orders + 1, 2), number)
        document: dict[str, JsonInput] = {
            "order": {"fixed_price": {"price": 1290, "driver_price": 1140.5}, "status": "driving"}
        }
        for n in self._switchable:
            await self._order_core.put_order(order_id=random_id(n), yandex_uid=str(n), document=document)

    async def retrieve(self) -> None:
        client = self._chance.choice(self._lookups)
        await client.retrieve_order(order_id=random_id(self._chance.randint(1, self._orders)))

    async def save_offer(self) -> None:
        if not await self._routestats.save_offer(offer_id=uuid.uuid4().hex):
            raise ServiceError(grpc.StatusCode.UNAVAILABLE, message="not saved")

    async def switch(self) -> None:
        """Switches an order from the toll road to the free one."""
        number = self._switchable.pop()  # each order once
        request = api.SwitchRoadRequest(
            order_id=random_id(number),
            has_toll_road=False,
            created=to_timestamp(datetime.now(UTC) + timedelta(minutes=4)),
        )
        passenger = Identity(str(number))
        ticket = TicketIssuer(self._keys, "gateway").issue("toll-roads", passenger=passenger)
        metadata = (("x-ya-service-ticket", ticket),)
        await self._passengers.SwitchRoad(request, metadata=metadata, timeout=2)


async def measure(server: Running, kinds: Sequence[LoadKind], seconds: float) -> float:
    """Makes the calls at their rates; returns the CPU seconds that the server used."""
    under_way: set[asyncio.Task[None]] = set()
    sent = dict.fromkeys(range(len(kinds)), 0)
    used, began = _cpu_seconds(server), time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        for index, kind in enumerate(kinds):
            while sent[index] < elapsed * kind.rate:
                task = asyncio.create_task(kind.run(began + sent[index] / kind.rate))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                sent[index] += 1
        await asyncio.sleep(_TICK_S)
    await asyncio.gather(*under_way)
    return _cpu_seconds(server) - used


def _cpu_seconds(server: Running) -> float:
    times = [process.cpu_times() for process in server.processes()]
    return sum(one.user + one.system for one in times)


async def run(server: Running, keys: KeyRing, arguments: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        consumers = Consumers(server.address, keys, arguments.orders, stack)
        await consumers.open()
        await consumers.prepare_switches(round(arguments.switches * (arguments.seconds + _WARM_UP_S)) + 10)

        def kinds() -> list[LoadKind]:
            return [
                LoadKind("RetrieveOrder", arguments.retrieves, consumers.retrieve),
                LoadKind("SaveOffer", arguments.offers, consumers.save_offer),
                LoadKind("SwitchRoad", arguments.switches, consumers.switch),
            ]

        await measure(server, kinds(), _WARM_UP_S)
        measured = kinds()
        cpu = await measure(server, measured, arguments.seconds)
    _print(measured, cpu, arguments.seconds)


def _print(kinds: Sequence[LoadKind], cpu: float, seconds: float) -> None:
    print(f"{'':<16}{'calls/s':>10}{'errors':>10}{'p50 ms':>10}{'p99 ms':>10}{'p99.9 ms':>10}")
    for kind in kinds:
        failed = sum(kind.errors.values())
        quantiles = statistics.quantiles(kind.seconds, n=1000, method="inclusive")
        p50, p99, p999 = (1000 * quantiles[n] for n in (499, 989, 998))
        calls = (len(kind.seconds) + failed) / seconds
        print(f"{kind.name:<16}{calls:>10.0f}{failed:>10}{p50:>10.2f}{p99:>10.2f}{p999:>10.2f}")
        for reason, number in kind.errors.most_common():
            print(f"    {reason}: {number}")
    print(f"the server used {cpu / seconds:.2f} cores", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.peak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--retrieves", type=float, default=4200.0, help="a second")
    parser.add_argument("--offers", type=float, default=100.0, help="a second")
    parser.add_argument("--switches", type=float, default=10.0, help="a second")
    parser.add_argument("--orders", type=int, default=FULL_SIZE, help="in the tables")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="keeps the filled tables for the next run")
    arguments = parser.parse_args()
    try:
        with tables(arguments.folder) as filled, tempfile.TemporaryDirectory(prefix="ridehail-bench-") as folder:
            url = filled.database(arguments.orders)
            migrations.migrate(url, "order_core", resources.folder("migrations") / "order_core")
            servers = Servers(Path(folder, "servers"), workers=arguments.workers)
            with servers.ridehail("toll-roads", "order-core", database_url=url) as server:
                uvloop.run(run(server, KeyRing(servers.folder / "keys" / "tickets"), arguments))
    except NotStarted as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
