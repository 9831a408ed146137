"""A server that has enough to do says so, and stays healthy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.support.calls import call, failure_of
from tests.support.config_edits import edit
from tests.support.endless import PATIENT_POOL, admit_gateway, endless, gateway_metadata
from tests.support.locks import locked_table
from tests.support.suite_in_process import suite_in_process
from tests.support.waiting import until

SAVE_OFFER = "/ridehail.tollroads.v1.TollRoadsService/SaveOffer"
OFFER = api.SaveOfferRequest(offer_id="offer")


async def test_one_call_too_many_is_refused_and_health_still_answers(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    edit(config_dir / "server.yaml", {"max_calls_under_way": 2, "pool": PATIENT_POOL})
    admit_gateway(config_dir, SAVE_OFFER)
    async with (
        suite_in_process(
            database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=[endless("toll-roads")]
        ) as suite,
        suite.channel() as channel,
        locked_table(database_url, "toll_roads.offers") as lock,
    ):
        metadata = gateway_metadata(keys_dir)
        under_way = [asyncio.create_task(call(channel, SAVE_OFFER, OFFER, metadata=metadata)) for _ in range(2)]

        async def both_wait() -> bool:
            return len(await lock.waiting()) == 2

        await until(both_wait)

        error = await failure_of(channel, SAVE_OFFER, OFFER, metadata=metadata)
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert error.retry_after is not None
        assert error.retry_after > 0

        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

        await lock.release()
        assert await asyncio.gather(*under_way) == [b"", b""]
        assert await call(channel, SAVE_OFFER, OFFER, metadata=metadata) == b""


async def test_calls_that_end_badly_leave_room_as_well(database_url: str, keys_dir: Path, config_dir: Path) -> None:
    edit(config_dir / "server.yaml", {"max_calls_under_way": 1, "pool": PATIENT_POOL})
    admit_gateway(config_dir, SAVE_OFFER)
    async with (
        suite_in_process(
            database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=[endless("toll-roads")]
        ) as suite,
        suite.channel() as channel,
        locked_table(database_url, "toll_roads.offers") as lock,
    ):
        metadata = gateway_metadata(keys_dir)
        await failure_of(channel, SAVE_OFFER, OFFER)  # no ticket
        await failure_of(channel, SAVE_OFFER, b"\xff", metadata=metadata)
        saving = asyncio.create_task(call(channel, SAVE_OFFER, OFFER, metadata=metadata))
        await until(lock.waiting)
        saving.cancel()

        async def there_is_room() -> bool:
            return (await failure_of(channel, SAVE_OFFER, metadata=metadata)).reason == "INVALID_REQUEST"

        await until(there_is_room)
        await lock.release()
        assert await call(channel, SAVE_OFFER, OFFER, metadata=metadata) == b""
