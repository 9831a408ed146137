"""SaveOffer: an offer is stored once and keeps its first timestamp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ridehail_clients import AsyncTollRoadsClient
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.waiting import until


class FrozenClock:
    """A clock that a test sets. It starts at the time of the machine, which tickets are issued by."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(scope="module")
async def module_suite(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, clock: FrozenClock
) -> AsyncIterator[SuiteInProcess]:
    async with suite_in_process(
        database_url=module_database_url,
        keys_dir=keys_dir,
        config_dir=module_config_dir,
        services=("toll-roads",),
        clock=clock,
    ) as running:
        yield running


@pytest.fixture
async def routestats(suite: SuiteInProcess) -> AsyncIterator[AsyncTollRoadsClient]:
    async with AsyncTollRoadsClient(suite.address, ticket=suite.ticket("routestats")) as client:
        yield client


async def offers(suite: SuiteInProcess) -> list[tuple[object, ...]]:
    return await suite.rows("SELECT offer_id, created_at FROM toll_roads.offers ORDER BY offer_id")


async def test_an_offer_is_stored_with_the_current_time(
    suite: SuiteInProcess, routestats: AsyncTollRoadsClient, clock: FrozenClock
) -> None:
    assert await routestats.save_offer(offer_id="offer")
    assert await offers(suite) == [("offer", clock.now)]


async def test_a_known_offer_keeps_the_time_of_the_first_save(
    suite: SuiteInProcess, routestats: AsyncTollRoadsClient, clock: FrozenClock
) -> None:
    first = clock.now
    assert await routestats.save_offer(offer_id="offer")
    clock.now += timedelta(seconds=20)
    assert await routestats.save_offer(offer_id="offer")
    assert await routestats.save_offer(offer_id="other")
    assert await offers(suite) == [("offer", first), ("other", clock.now)]


async def test_many_repeats_at_once_all_succeed_and_store_one_offer(
    suite: SuiteInProcess, routestats: AsyncTollRoadsClient
) -> None:
    # A busy machine may not serve them all at once.
    await asyncio.gather(*(until(lambda: routestats.save_offer(offer_id="offer")) for _ in range(50)))
    assert len(await offers(suite)) == 1
