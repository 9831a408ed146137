"""Whoever is slow, down or erroring: the rider gets a card in time, without exactly what cannot be told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from tests.api_proxy.card_world import TAXI_ON_THE_WAY, CardWorld, card_world, counted, is_selected
from tests.support.calls import failure_of
from tests.support.config_edits import edit
from tests.support.neighbours_between import DOWN, ERRORING, MODES, SLOW, UP, RedisBetween, redis_between
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

# Of the contract. What the configuration allows for each service is less in all.
BUDGET_S = 3.0
GRPC_NAMES = {
    "family": "ridehail.family.v1.FamilyService",
    "route-sharing": "ridehail.routesharing.v1.RouteSharingService",
    "inapp-communications": "ridehail.inapp.v1.InappCommunicationsService",
    "toll-roads": "ridehail.tollroads.v1.TollRoadsService",
}
FAULTS = (SLOW, DOWN, ERRORING)


@dataclass
class Outages:
    """A world, and what stands between it and its cache."""

    world: CardWorld
    cache: RedisBetween

    def set(self, neighbour: str, mode: str) -> None:
        """Makes one neighbour fail in this way, and no other."""
        self.world.between.modes = {GRPC_NAMES[neighbour]: mode} if neighbour in GRPC_NAMES else {}
        self.cache.switch(mode if neighbour == "cache" else UP)

    async def timed_card(self, order: str, toggle: bool | None = None) -> dict[str, Any]:
        """Asks for a card, which has to come within the budget."""
        started = asyncio.get_running_loop().time()
        card = await self.world.card(order, toggle)
        assert asyncio.get_running_loop().time() - started < BUDGET_S
        return card


@pytest.fixture
async def outages(database_url: str, keys_dir: Path, config_dir: Path, redis: RedisServer) -> AsyncIterator[Outages]:
    """As it is shipped, but with some patience for a busy machine."""
    edit(config_dir / "api_proxy.yaml", {"TAXI_ON_THE_WAY": {"inapp_timeout_ms": 800, "toll_roads_timeout_ms": 800}})
    edit(config_dir / "server.yaml", {"cache": {"timeout_ms": 200}})
    async with (
        redis_between(redis.port) as cache,
        card_world(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, cache_url=cache.url) as world,
    ):
        yield Outages(world, cache)


def expected_fields(neighbour: str, mode: str) -> set[str]:
    """Returns the fields of a card while one neighbour fails in this way."""
    fields = {"order_id", "status", "toll_road", "toll_road_status", "promos"}
    if mode == UP:
        return fields
    return fields - {"toll-roads": {"toll_road"}, "inapp-communications": {"promos"}}.get(neighbour, set())


@pytest.mark.timeout(150)
async def test_each_neighbour_in_each_state_leaves_out_exactly_its_part(outages: Outages) -> None:
    world = outages.world
    await world.card(await world.make_order(), toggle=True)  # the first call of a server is slow
    for neighbour in (*GRPC_NAMES, "cache"):
        for mode in MODES:
            order, told = await world.make_order(), f"{neighbour} is {mode}"
            outages.set(neighbour, mode)
            moved = await outages.timed_card(order, toggle=True)
            plain = await outages.timed_card(order)
            stored = await world.is_shared(order)
            # Only the two that the toggle needs keep it from working.
            assert stored == (mode == UP or neighbour not in {"family", "route-sharing"}), told
            for card in (moved, plain):
                assert set(card) == expected_fields(neighbour, mode), told
                assert card["status"] == "driving", told
                is_known = neighbour != "toll-roads" or mode == UP
                assert card["toll_road_status"] == ("known" if is_known else "unknown"), told
                if neighbour == "route-sharing" and mode != UP:
                    assert card["promos"] == [], told
                elif "promos" in card:
                    assert is_selected(card) is stored, told
            outages.set(neighbour, UP)

            async def is_well(order: str = order, stored: bool = stored) -> bool:
                card = await world.card(order)
                return set(card) == expected_fields("", UP) and is_selected(card) is stored

            await until(is_well)


async def test_what_is_left_out_is_counted_by_neighbour_and_reason(outages: Outages) -> None:
    metric = "ridehail_api_proxy_card_left_out"
    reasons = {SLOW: "DEADLINE_EXCEEDED", DOWN: "UNAVAILABLE", ERRORING: "INTERNAL"}
    for neighbour in ("inapp-communications", "toll-roads", "route-sharing"):
        for mode in FAULTS:
            order, before = await outages.world.make_order(), counted(metric)
            outages.set(neighbour, mode)
            await outages.timed_card(order, toggle=True)
            now = counted(metric)
            grown = {labels for labels in now if now[labels] > before.get(labels, 0)}
            assert grown == {(neighbour, reasons[mode])}, (neighbour, mode)


async def test_without_its_order_there_is_no_card(outages: Outages) -> None:
    world = outages.world
    order = await world.make_order()
    await world.suite.execute("ALTER TABLE order_core.orders RENAME TO out_of_reach")
    request = api.TaxiOnTheWayRequest(order_id=order)
    error = await failure_of(world.channel, TAXI_ON_THE_WAY, request, metadata=world.metadata())
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "NEIGHBOUR_UNAVAILABLE")
    assert error.metadata == {"neighbour": "order-core"}


async def test_a_toggle_while_the_cache_is_away_voids_what_the_cache_comes_back_with(outages: Outages) -> None:
    world = outages.world
    order = await world.make_order()
    for toggle in (True, False):
        outages.set("cache", UP)

        async def is_kept() -> bool:
            world.between.calls.clear()
            await world.card(order)
            return not any("PromosOnTheWay" in one for one in world.between.calls)

        await until(is_kept)
        outages.set("cache", DOWN)
        assert is_selected(await world.card(order, toggle=toggle)) is toggle
        outages.set("cache", UP)
        for _ in range(5):
            assert is_selected(await world.card(order)) is toggle
        await until(is_kept)
        assert is_selected(await world.card(order)) is toggle


async def test_a_cache_that_hangs_does_not_make_every_rider_wait(outages: Outages) -> None:
    order = await outages.world.make_order()
    outages.set("cache", SLOW)

    async def is_skipped() -> bool:
        failures = counted("ridehail_cache_failures")
        await outages.world.card(order)
        return counted("ridehail_cache_failures").get(("get", "taken_to_be_away"), 0) > failures.get(
            ("get", "taken_to_be_away"), 0
        )

    await until(is_skipped, within=20)
