"""A server that is full: who goes on next, who is refused and how, and that health answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY

from ridehail.ordercore.v1 import order_core_api_pb2 as api
from ridehail_servers.chassis import app
from ridehail_servers.chassis.settings import ProcessSettings
from tests.support.calls import Metadata, call, failure_of
from tests.support.config_edits import edit
from tests.support.endless import PATIENT_POOL, admit_gateway, endless, gateway_metadata
from tests.support.locks import HeldLock, locked_table
from tests.support.log_capture import LogCapture
from tests.support.waiting import until

METHOD = "ridehail.ordercore.v1.OrderCoreService/ListActiveOrders"
REQUEST = api.ListActiveOrdersRequest(yandex_uid="uid")
# Longer than the test takes anywhere: it waits for states.
LONG_S = 60.0
MAX_WAITING = 2


class FullServer:
    """A server with one connection, which a call holds while it waits for a lock; as many calls wait as may."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata, lock: HeldLock) -> None:
        self.channel = channel
        self.lock = lock
        self.ended: list[str] = []
        self.calls: list[asyncio.Task[None]] = []
        self._metadata = metadata

    async def make(self, name: str) -> None:
        """Makes a call, and returns once it is under way."""
        before = under_way()

        async def run() -> None:
            await call(self.channel, f"/{METHOD}", REQUEST, metadata=self._metadata)
            self.ended.append(name)

        self.calls.append(asyncio.create_task(run()))
        await until(lambda: under_way() > before)


@asynccontextmanager
async def full_server(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[FullServer]:
    short, long = 0.001, LONG_S * 1000
    admission = {
        "standing_wait_ms": short,
        "burst_wait_ms": short,
        "max_waiting": MAX_WAITING,
        "max_wait_ms": long,
    }
    pool = {**PATIENT_POOL, "max_size": 1, "timeout_s": LONG_S}
    edit(config_dir / "server.yaml", {"admission": admission, "pool": pool})
    admit_gateway(config_dir, METHOD)
    settings = ProcessSettings(
        services=("order-core",),
        config_dir=config_dir,
        keys_dir=keys_dir,
        database_urls={"order-core": database_url},
        drain_notice_s=0,
    )
    metadata = gateway_metadata(keys_dir)
    async with app.build([endless("order-core")], settings) as built:
        server = app.Server(built, settings)
        port = await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                # Until one call has ended nobody knows for how long connections are held.
                await call(channel, f"/{METHOD}", REQUEST, metadata=metadata)
                async with locked_table(database_url, "order_core.orders") as lock:
                    full = FullServer(channel, metadata, lock)
                    await full.make("holds the connection")
                    await until(lock.waiting)
                    await full.make("in the pool's queue")
                    await full.make("older")
                    await full.make("newer")
                    yield full
        finally:
            await server.drain()


async def messages_before_the_error(channel: grpc.aio.Channel) -> list[bytes]:
    method: Any = channel.unary_stream(f"/{METHOD}")
    streaming = method(b"")
    messages: list[bytes] = []
    with suppress(grpc.aio.AioRpcError):
        messages.extend([message async for message in streaming])
    assert await streaming.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return messages


def under_way() -> float:
    return REGISTRY.get_sample_value("ridehail_rpc_in_flight") or 0


async def test_of_those_that_wait_the_newest_goes_on_first_and_one_more_is_refused_at_once(
    database_url: str, keys_dir: Path, config_dir: Path, log: LogCapture
) -> None:
    async with full_server(database_url, keys_dir, config_dir) as full:
        # when: one more comes, without a credential, and with a request that is none
        metadata = (("x-request-id", "mine"),)
        refused = await failure_of(full.channel, f"/{METHOD}", b"\xff" * 100_000, metadata=metadata)

        # then: it is refused before anybody looks at that, and health answers
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refused.retry_after
        assert refused.request_id == "mine"
        assert await messages_before_the_error(full.channel) == []  # the gateway would take one for the answer
        answer = await health_pb2_grpc.HealthStub(full.channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        await until(lambda: log.events("calls refused"))

        # and: once there is room the newest goes on first
        await full.lock.release()
        await asyncio.gather(*full.calls)
        assert full.ended == ["holds the connection", "in the pool's queue", "newer", "older"]


async def test_who_gives_up_while_it_waits_makes_room_for_another(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    async with full_server(database_url, keys_dir, config_dir) as full:
        full.calls.pop().cancel()
        await until(lambda: under_way() == len(full.calls))

        await full.make("takes the place")
        assert (await failure_of(full.channel, f"/{METHOD}", REQUEST)).reason == "OVERLOADED"

        await full.lock.release()
        await asyncio.gather(*full.calls)
        assert full.ended == ["holds the connection", "in the pool's queue", "takes the place", "older"]
