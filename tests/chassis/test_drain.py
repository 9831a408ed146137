"""A server that stops loses no call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import ServiceError, TransportUnavailable
from ridehail_clients.calls.retry import is_retryable
from ridehail_servers.chassis import app
from ridehail_servers.chassis.settings import ProcessSettings
from tests.support.calls import Metadata, call
from tests.support.config_edits import edit
from tests.support.endless import PATIENT_POOL, admit_gateway, endless, gateway_metadata
from tests.support.locks import locked_table
from tests.support.waiting import LIMIT_S, until

SAVE_OFFER = "/ridehail.tollroads.v1.TollRoadsService/SaveOffer"
ENQUEUE = "/ridehail.tollroads.v1.TollRoadsService/EnqueueOrderSave"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
# Longer than any machine takes from the start of the drain to the call that is made meanwhile.
NOTICE_S = 2.0


@dataclass(frozen=True)
class Serving:
    """A server whose contracts bound no call, and what a test needs to talk to it."""

    server: app.Server
    address: str
    metadata: Metadata

    def channel(self) -> grpc.aio.Channel:
        # Connects anew at once, as a client does who has somewhere else to go.
        return grpc.aio.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture(params=["grpcio", "native"], autouse=True)
def transport(request: pytest.FixtureRequest, config_dir: Path) -> None:
    """Both, one after the other."""
    edit(config_dir / "server.yaml", {"transport": request.param})


@asynccontextmanager
async def serving(database_url: str, keys_dir: Path, config_dir: Path, **drain: float) -> AsyncIterator[Serving]:
    edit(config_dir / "server.yaml", {"pool": PATIENT_POOL, **drain})
    admit_gateway(config_dir, SAVE_OFFER, ENQUEUE)
    settings = ProcessSettings(
        services=("toll-roads",),
        config_dir=config_dir,
        keys_dir=keys_dir,
        database_urls={"toll-roads": database_url},
        addresses={"order-core": "127.0.0.1:1"},
    )
    async with app.build([endless("toll-roads")], settings) as built:
        server = app.Server(built, settings)
        yield Serving(server, f"127.0.0.1:{await server.start()}", gateway_metadata(keys_dir))


def a_save() -> api.EnqueueOrderSaveRequest:
    request = api.EnqueueOrderSaveRequest(order_id="order", can_switch_road=False, user_chose_toll_road=False)
    request.created.FromDatetime(datetime(2026, 11, 20, tzinfo=UTC))
    return request


async def offers_in(database_url: str) -> int:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute("SELECT count(*) FROM toll_roads.offers")).fetchone()
    assert row is not None
    return int(row[0])


async def test_balancers_see_it_first_then_no_call_is_taken_then_those_under_way_end(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    async with (
        serving(database_url, keys_dir, config_dir, drain_notice_s=NOTICE_S, drain_grace_s=600) as running,
        running.channel() as channel,
        locked_table(database_url, "toll_roads.order_save_requests") as lock,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        under_way = asyncio.create_task(call(channel, ENQUEUE, a_save(), metadata=running.metadata))
        await until(lock.waiting)

        draining = asyncio.create_task(running.server.drain())
        # Told ...
        assert (await watch.read()).status == NOT_SERVING
        # ... and still serving whoever has not noticed yet.
        offer = api.SaveOfferRequest(offer_id="during the notice")
        assert await call(channel, SAVE_OFFER, offer, metadata=running.metadata) == b""

        await until(lambda: refuses(running))
        assert not under_way.done()
        assert not draining.done()

        await lock.release()
        assert await under_way == b""
        # The open watch does not hold the drain for its grace of ten minutes.
        await asyncio.wait_for(draining, LIMIT_S)


async def refuses(running: Serving) -> bool:
    """Tells whether the server refuses who comes now."""
    async with running.channel() as late:
        try:
            await call(late, SAVE_OFFER, api.SaveOfferRequest(offer_id="late"), metadata=running.metadata)
        except ServiceError as error:
            return isinstance(error, TransportUnavailable)  # just as it stops gRPC may cancel it instead
    return False


async def test_under_load_every_call_is_either_done_or_refused(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    done = 0
    refusals: list[ServiceError] = []

    async def save_offers_until_refused(running: Serving, caller: int) -> None:
        nonlocal done
        metadata = running.metadata
        async with running.channel() as channel:
            for number in range(1_000_000):
                try:
                    offer = api.SaveOfferRequest(offer_id=f"offer-{caller}-{number}")
                    await call(channel, SAVE_OFFER, offer, metadata=metadata)
                except ServiceError as error:
                    refusals.append(error)
                    return
                done += 1

    async with serving(
        database_url, keys_dir, config_dir, drain_notice_s=0.2, drain_grace_s=600, drain_quiet_s=0.5
    ) as running:
        callers = [asyncio.create_task(save_offers_until_refused(running, caller)) for caller in range(10)]
        await until(lambda: done > 20)
        await running.server.drain()
        await asyncio.gather(*callers)

    # Calls that reach a server just as it stops get CANCELLED by gRPC itself; nothing is done for them.
    assert {error.code for error in refusals} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert all(is_retryable(error) for error in refusals)
    assert await offers_in(database_url) == done


async def test_a_call_that_outlasts_the_grace_is_cut_and_rolled_back(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    async with (
        serving(database_url, keys_dir, config_dir, drain_notice_s=0, drain_grace_s=0.2) as running,
        running.channel() as channel,
        locked_table(database_url, "toll_roads.offers") as lock,
    ):
        offer = api.SaveOfferRequest(offer_id="offer")
        saving = asyncio.create_task(call(channel, SAVE_OFFER, offer, metadata=running.metadata))
        await until(lock.waiting)
        await asyncio.wait_for(running.server.drain(), LIMIT_S)
        assert await lock.waiting() == []
        with pytest.raises(ServiceError):
            await saving
    assert await offers_in(database_url) == 0
