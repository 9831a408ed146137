"""What a poll costs: without tags one round trip to the database, and not one call of another service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.order_state.harness import SERVERS, Harness, known
from tests.order_state.harness import harness as running_harness
from tests.order_state.provider_server import order
from tests.order_state.wire import Wire, wire_to
from tests.support.folders import shared_folder

NOBODY = dict.fromkeys(SERVERS, 0)


@pytest.fixture(scope="module")
async def wired(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[tuple[Wire, Harness]]:
    """A harness, and the wire between it and its database."""
    with shared_folder() as folder:
        async with (
            wire_to(module_database_url, folder) as wire,
            running_harness(database_url=wire.url, keys_dir=keys_dir, config_dir=module_config_dir) as at,
        ):
            yield wire, at


@pytest.mark.parametrize("orders", [0, 1, 50])
async def test_a_poll_without_tokens_is_one_round_trip_and_queries_nobody(
    wired: tuple[Wire, Harness], orders: int
) -> None:
    wire, at = wired
    await at.reset()
    rider = at.rider("uid")
    for number in range(orders):
        await rider.report(str(number), 1, info="1", route="1", extra="1")
    # Some known and up to date, some not, some that nobody knows of, and one that the app does not know.
    apps = [known(str(number), tags={"info": "1"}, force=number % 7 == 0) for number in range(1, orders)]
    # A connection prepares the statements that recur, which is a round trip of its own, once.
    for _ in range(60):
        await rider.poll(*apps)
    for _ in range(5):
        wire.clear()
        response = await rider.poll(*apps)
        assert (wire.round_trips, wire.statements) == (1, 1)
        assert len(response.orders) == max(0, orders - 1)
    assert at.queried() == NOBODY
    # What is counted is what goes over the wire: a poll that has something to store takes more.
    at.providers["taxi"].orders["uid"] = [order("new", sequence=1, info="1")]
    wire.clear()
    await rider.poll(tags={"taxi": ""})
    assert wire.round_trips == 2
    wire.clear()
    await rider.poll(tags={"taxi": ""})
    assert wire.round_trips == 1
    assert at.queried() == {**NOBODY, "taxi": 2}


async def test_polls_that_come_together_share_round_trips(wired: tuple[Wire, Harness]) -> None:
    wire, at = wired
    await at.rider("warm").poll()
    wire.clear()
    await asyncio.gather(*(at.rider(f"rider-{number}").poll() for number in range(40)))
    assert wire.round_trips < 40
