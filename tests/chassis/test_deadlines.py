"""No call takes longer than its caller waits, nor than its contract allows; and what it asked Postgres ends with it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import ServiceError
from tests.support.calls import call, failure_of
from tests.support.config_edits import edit
from tests.support.locks import HeldLock, locked_table
from tests.support.suite_in_process import SuiteInProcess, suite_in_process, until

SAVE_OFFER = "/ridehail.tollroads.v1.TollRoadsService/SaveOffer"
OFFER = api.SaveOfferRequest(offer_id="offer")
CONTRACT_S = 1.0


@pytest.fixture
async def patient_suite(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[SuiteInProcess]:
    """A suite whose database itself ends nothing, and has few connections."""
    edit(
        config_dir / "server.yaml", {"pool": {"max_size": 2, "lock_timeout_ms": 60_000, "statement_timeout_ms": 60_000}}
    )
    async with suite_in_process(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as running:
        yield running


@pytest.fixture
async def lock(patient_suite: SuiteInProcess) -> AsyncIterator[HeldLock]:
    async with locked_table(patient_suite.database_url, "toll_roads.offers") as held:
        yield held


@pytest.mark.parametrize("callers_deadline", [None, 30.0], ids=["no deadline", "a longer deadline"])
async def test_the_contract_bounds_a_call_whose_caller_does_not(
    patient_suite: SuiteInProcess, lock: HeldLock, callers_deadline: float | None
) -> None:
    began = time.monotonic()
    async with patient_suite.channel() as channel:
        metadata = patient_suite.metadata("routestats", "toll-roads")
        error = await failure_of(channel, SAVE_OFFER, OFFER, metadata=metadata, timeout=callers_deadline)
    assert (error.code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert CONTRACT_S <= time.monotonic() - began < CONTRACT_S + 0.5
    assert await lock.waiting() == []


async def test_a_callers_shorter_deadline_ends_the_query(patient_suite: SuiteInProcess, lock: HeldLock) -> None:
    began = time.monotonic()
    async with patient_suite.channel() as channel:
        metadata = patient_suite.metadata("routestats", "toll-roads")
        error = await failure_of(channel, SAVE_OFFER, OFFER, metadata=metadata, timeout=0.3)
    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < CONTRACT_S - 0.2

    async def is_gone() -> bool:
        return not await lock.waiting()

    await until(is_gone, within=CONTRACT_S - 0.3)


async def test_a_cancelled_call_ends_its_query_within_a_second(patient_suite: SuiteInProcess, lock: HeldLock) -> None:
    async with patient_suite.channel() as channel:
        metadata = patient_suite.metadata("routestats", "toll-roads")
        saving = asyncio.create_task(call(channel, SAVE_OFFER, OFFER, metadata=metadata))
        await until(lock.waiting)

        cancelled = time.monotonic()
        saving.cancel()

        async def is_gone() -> bool:
            return not await lock.waiting()

        await until(is_gone, within=0.9)  # before the contract's own deadline would end it
        assert time.monotonic() - cancelled < 1.0


async def test_fifty_cancelled_calls_leave_every_connection_in_the_pool(
    patient_suite: SuiteInProcess, lock: HeldLock
) -> None:
    chance = random.Random(20261120)
    async with patient_suite.channel() as channel:
        metadata = patient_suite.metadata("routestats", "toll-roads")

        async def save_for_a_moment() -> None:
            with pytest.raises((ServiceError, TimeoutError)):
                async with asyncio.timeout(chance.uniform(0.0, 0.3)):
                    await call(channel, SAVE_OFFER, OFFER, metadata=metadata)

        await asyncio.gather(*(save_for_a_moment() for _ in range(50)))
        await lock.release()

        # Both connections can be had at once again, and nobody else waits for one.
        database = patient_suite.database("toll-roads")
        await until(lambda: database.stats()["pool_available"] == 2)
        async with database.connection() as first, database.connection() as second:
            assert await (await first.execute("SELECT 1")).fetchone() == (1,)
            assert await (await second.execute("SELECT 1")).fetchone() == (1,)
        await call(channel, SAVE_OFFER, OFFER, metadata=metadata)
    stats = database.stats()
    assert stats["pool_size"] == stats["pool_available"] == 2
    assert stats.get("requests_waiting", 0) == 0


async def test_calls_that_give_up_while_the_pool_is_busy_harm_no_other(
    patient_suite: SuiteInProcess,
) -> None:
    """Half of the callers give up at any moment: before they get a connection, while they use it, as they return it."""
    chance = random.Random(7)
    async with patient_suite.channel() as channel:
        metadata = patient_suite.metadata("routestats", "toll-roads")

        async def save(number: int) -> bool:
            timeout = chance.uniform(0.0, 0.02) if number % 2 else 5.0
            try:
                async with asyncio.timeout(timeout):
                    request = api.SaveOfferRequest(offer_id=f"offer-{number}")
                    await call(channel, SAVE_OFFER, request, metadata=metadata)
            except TimeoutError:
                return False
            return True

        saved = await asyncio.gather(*(save(number) for number in range(150)))
    assert all(saved[::2])
    database = patient_suite.database("toll-roads")

    def has_all_connections() -> bool:
        stats = database.stats()
        return stats["pool_size"] == stats["pool_available"]

    await until(has_all_connections)  # those of the last calls are still on their way back
