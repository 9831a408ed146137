"""No call takes longer than its caller waits, nor than its contract allows; and what it asked Postgres ends with it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import grpc
import pytest

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import Overloaded, ServiceError
from tests.support.calls import Metadata, call, failure_of
from tests.support.config_edits import edit
from tests.support.endless import PATIENT_POOL, admit_gateway, endless, gateway_metadata
from tests.support.locks import HeldLock, locked_table
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.waiting import until

SAVE_OFFER = "/ridehail.tollroads.v1.TollRoadsService/SaveOffer"
OFFER = api.SaveOfferRequest(offer_id="offer")
CONTRACT_S = 1.0
POOL = {**PATIENT_POOL, "max_size": 2}


@pytest.fixture
async def lock(module_database_url: str) -> AsyncIterator[HeldLock]:
    async with locked_table(module_database_url, "toll_roads.offers") as held:
        yield held


@pytest.fixture
async def by_contract(
    module_database_url: str, keys_dir: Path, config_dir: Path
) -> AsyncIterator[tuple[grpc.aio.Channel, Metadata]]:
    """A channel to a server, and the metadata of its caller."""
    edit(config_dir / "server.yaml", {"pool": POOL})
    async with (
        suite_in_process(
            database_url=module_database_url, keys_dir=keys_dir, config_dir=config_dir, services=["toll-roads"]
        ) as suite,
        suite.channel() as channel,
    ):
        yield channel, suite.metadata("routestats", "toll-roads")


@pytest.mark.parametrize("callers_deadline", [None, 60.0], ids=["no deadline", "a longer deadline"])
async def test_the_contract_bounds_a_call_whose_caller_does_not(
    by_contract: tuple[grpc.aio.Channel, Metadata], lock: HeldLock, callers_deadline: float | None
) -> None:
    channel, metadata = by_contract
    began = time.monotonic()
    error = await failure_of(channel, SAVE_OFFER, OFFER, metadata=metadata, timeout=callers_deadline)
    # With the server's reason: the caller's own deadline would have none.
    assert (error.code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert time.monotonic() - began >= CONTRACT_S
    assert await lock.waiting() == []


# --- as long as the caller waits


@pytest.fixture(scope="module")
async def suite(module_database_url: str, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[SuiteInProcess]:
    """A server whose contracts bound nothing."""
    edit(module_config_dir / "server.yaml", {"pool": POOL})
    admit_gateway(module_config_dir, SAVE_OFFER)
    async with suite_in_process(
        database_url=module_database_url,
        keys_dir=keys_dir,
        config_dir=module_config_dir,
        services=[endless("toll-roads")],
    ) as running:
        yield running


@pytest.fixture
async def channel(suite: SuiteInProcess) -> AsyncIterator[grpc.aio.Channel]:
    async with suite.channel() as channel:
        yield channel


@pytest.fixture
def metadata(keys_dir: Path) -> Metadata:
    return gateway_metadata(keys_dir)


async def nobody_waits(lock: HeldLock) -> None:
    async def is_so() -> bool:
        return not await lock.waiting()

    await until(is_so)


async def test_a_callers_deadline_ends_the_query(channel: grpc.aio.Channel, metadata: Metadata, lock: HeldLock) -> None:
    saving = asyncio.create_task(failure_of(channel, SAVE_OFFER, OFFER, metadata=metadata, timeout=2))
    await until(lock.waiting)
    assert (await saving).code is grpc.StatusCode.DEADLINE_EXCEEDED
    await nobody_waits(lock)


async def test_a_cancelled_call_ends_its_query(channel: grpc.aio.Channel, metadata: Metadata, lock: HeldLock) -> None:
    saving = asyncio.create_task(call(channel, SAVE_OFFER, OFFER, metadata=metadata))
    await until(lock.waiting)
    saving.cancel()
    await nobody_waits(lock)


async def test_fifty_cancelled_calls_leave_every_connection_in_the_pool(
    suite: SuiteInProcess, channel: grpc.aio.Channel, metadata: Metadata, lock: HeldLock
) -> None:
    chance = random.Random(20261120)

    async def save_for_a_moment() -> None:
        with pytest.raises((ServiceError, TimeoutError)):
            async with asyncio.timeout(chance.uniform(0.0, 0.3)):
                await call(channel, SAVE_OFFER, OFFER, metadata=metadata)

    await asyncio.gather(*(save_for_a_moment() for _ in range(50)))
    await lock.release()

    # Both connections can be had at once again, and nobody else waits for one.
    await all_connections_are_back(suite)
    database = suite.database("toll-roads")
    async with database.connection() as first, database.connection() as second:
        assert await (await first.execute("SELECT 1")).fetchone() == (1,)
        assert await (await second.execute("SELECT 1")).fetchone() == (1,)
    await call(channel, SAVE_OFFER, OFFER, metadata=metadata)
    await all_connections_are_back(suite)
    assert database.stats()["requests_waiting"] == 0


async def all_connections_are_back(suite: SuiteInProcess) -> None:
    """Waits for connections that are still on their way back."""

    def are_back() -> bool:
        stats = suite.database("toll-roads").stats()
        return stats["pool_size"] == stats["pool_available"]

    await until(are_back)


async def test_calls_that_give_up_while_the_pool_is_busy_harm_no_other(
    suite: SuiteInProcess, channel: grpc.aio.Channel, metadata: Metadata
) -> None:
    """Half of the callers give up at any time: before they get a connection, while they use it, as they return it."""
    chance = random.Random(7)

    async def is_saved(request: api.SaveOfferRequest) -> bool:
        with suppress(Overloaded):  # a busy machine may not serve them all at once
            await call(channel, SAVE_OFFER, request, metadata=metadata)
            return True
        return False

    async def save(number: int) -> bool:
        try:
            async with asyncio.timeout(chance.uniform(0.0, 0.02) if number % 2 else None):
                request = api.SaveOfferRequest(offer_id=f"offer-{number}")
                await until(partial(is_saved, request))
        except TimeoutError:
            return False
        return True

    saved = await asyncio.gather(*(save(number) for number in range(150)))
    assert all(saved[::2])
    await all_connections_are_back(suite)
