"""The card of a ride: what it shows, to whom, and what the toggle does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_servers.api_proxy.card.neighbours import PROMOS_LOOKED_UP, TOGGLES
from tests.api_proxy.card_world import (
    ADMIN_NAME,
    ADMIN_PHONE,
    RIDER,
    RIDER_PHONE,
    STRANGER,
    TAXI_ON_THE_WAY,
    CardWorld,
    card_world,
    counted,
    is_selected,
)
from tests.support.calls import call, failure_of
from tests.support.fault_proxy import down, erroring
from tests.support.log_capture import LogCapture
from tests.support.waiting import until

# As the app sends it.
USER_ACTIONS = """
{
    "user_actions": {
        "share_ride_with_family": {
            "value": true
        }
    }
}
"""
SEAT_BELT = {"id": "seat_belt", "title": "Please fasten your seat belt", "text": "", "image_url": ""}


@pytest.fixture(scope="module")
async def module_world(module_database_url: str, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[CardWorld]:
    async with card_world(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, watched=False
    ) as world:
        world.set_timeouts()
        yield world


@pytest.fixture
def world(module_world: CardWorld) -> CardWorld:
    """Nobody fails, and every order is new."""
    module_world.heal()
    return module_world


def outcomes() -> dict[str, float]:
    """Returns how often toggles came to what."""
    assert TOGGLES is not None
    return {labels[0]: value for labels, value in counted("ridehail_api_proxy_card_toggles").items()}


def lookups() -> dict[str, float]:
    assert PROMOS_LOOKED_UP is not None
    return {labels[0]: value for labels, value in counted("ridehail_api_proxy_card_promos_lookups").items()}


async def test_the_card_of_a_ride_from_the_first_look_to_the_second_toggle(world: CardWorld) -> None:
    order = await world.make_order()
    toggle_banner = {
        "id": "share_ride_with_family",
        "title": "Share this ride with your family",
        "text": "They will see where you are until you arrive",
        "image_url": "https://example.com/banners/family.png",
    }
    expected: dict[str, Any] = {
        "order_id": order,
        "status": "driving",
        "toll_road": {"has_toll_road": True, "can_switch_road": True},
        "toll_road_status": "known",
        "promos": [toggle_banner | {"is_selected": False}, SEAT_BELT],
    }
    assert await world.card(order) == expected
    on = expected | {"promos": [toggle_banner | {"is_selected": True}, SEAT_BELT]}
    assert await world.card(order, toggle=True) == on
    assert await world.card(order) == on
    assert await world.is_shared(order)
    assert await world.card(order, toggle=False) == expected
    assert await world.card(order) == expected
    assert not await world.is_shared(order)


async def test_plain_looks_are_answered_from_the_cache_and_a_toggle_is_not(world: CardWorld) -> None:
    order, before = await world.make_order(), lookups()
    for toggle in (None, None, True, None, None, False, None):
        world.faults.calls.clear()
        await world.card(order, toggle=toggle)
        asked = world.faults.called.count("InappCommunicationsService/PromosOnTheWay")
        assert asked == (toggle is not None or lookups() == {**before, "miss": before.get("miss", 0) + 1})
    assert lookups() == {"hit": before.get("hit", 0) + 4, "miss": before.get("miss", 0) + 1}


async def test_banners_are_in_the_riders_language_and_each_is_kept_for_itself(world: CardWorld) -> None:
    order = await world.make_order()
    headers = {"ru-RU, en;q=0.5": "Пристегнитесь", "iw": "נא לחגור חגורת בטיחות", "fi": SEAT_BELT["title"], "": None}
    headers["x" * 5000] = SEAT_BELT["title"]
    for _ in range(2):
        for language, title in headers.items():
            card = await world.card(order, accept_language=language)
            assert card["promos"][-1]["title"] == (title or SEAT_BELT["title"])


@pytest.mark.parametrize(("role", "shown"), [("owner", None), ("", None), ("user", False)])
async def test_only_a_member_moves_the_toggle(world: CardWorld, role: str, shown: bool | None) -> None:
    order, before = await world.make_order(), outcomes()
    card = await world.card(order, toggle=None if role == "user" else True, role=role)
    assert is_selected(card) is shown
    assert SEAT_BELT in card["promos"]
    assert not await world.is_shared(order)
    assert not any(one.endswith("ShareWithFamily") for one in world.faults.called)
    if role != "user":
        assert outcomes() == {**before, "passed_over_role": before.get("passed_over_role", 0) + 1}


async def test_a_ride_that_cannot_be_shared_has_no_toggle(world: CardWorld) -> None:
    order, before = await world.make_order(shareable=False), outcomes()
    assert (await world.card(order, toggle=True))["promos"] == [SEAT_BELT]
    assert outcomes()["passed_over_no_sharing_key"] == before.get("passed_over_no_sharing_key", 0) + 1
    assert not any("Sharing" in one for one in world.faults.called)


async def test_a_toggle_that_is_refused_shows_what_is_the_case(world: CardWorld) -> None:
    """The rider has the role, but has left the family meanwhile."""
    order, before = await world.make_order(uid="4010"), outcomes()
    assert is_selected(await world.card(order, toggle=True, uid="4010")) is False
    assert is_selected(await world.card(order, uid="4010")) is False
    assert outcomes()["refused"] == before.get("refused", 0) + 1


async def test_a_ride_without_a_toll_road_shows_none(world: CardWorld) -> None:
    left_out = counted("ridehail_api_proxy_card_left_out")
    card = await world.card(await world.make_order(toll_road=False))
    assert ("toll_road" in card, card["toll_road_status"]) == (False, "none")
    assert counted("ridehail_api_proxy_card_left_out") == left_out


async def test_to_a_stranger_the_ride_does_not_exist(world: CardWorld) -> None:
    order = await world.make_order()
    for toggle in (None, True):
        request = api.TaxiOnTheWayRequest(order_id=order)
        if toggle:
            request.user_actions.share_ride_with_family.value = True
        error = await failure_of(world.channel, TAXI_ON_THE_WAY, request, metadata=world.metadata(STRANGER))
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
        missing = await failure_of(
            world.channel, TAXI_ON_THE_WAY, api.TaxiOnTheWayRequest(order_id="none"), metadata=world.metadata()
        )
        assert (missing.code, missing.reason, missing.message) == (error.code, error.reason, error.message)
    assert world.faults.called == []
    assert not await world.is_shared(order)


async def test_the_apps_json_moves_the_toggle(world: CardWorld) -> None:
    order = await world.make_order()
    request = json_format.Parse(USER_ACTIONS, api.TaxiOnTheWayRequest(order_id=order))
    await call(world.channel, TAXI_ON_THE_WAY, request, metadata=world.metadata())
    assert await world.is_shared(order)


async def test_absent_keys_are_no_action(world: CardWorld) -> None:
    order = await world.make_order()
    for body in ('{"user_actions": {}}', "{}"):
        request = json_format.Parse(body, api.TaxiOnTheWayRequest(order_id=order))
        await call(world.channel, TAXI_ON_THE_WAY, request, metadata=world.metadata())
    assert not any(one.endswith("ShareWithFamily") for one in world.faults.called)


async def test_a_rider_who_goes_away_does_not_leave_an_old_answer_behind(world: CardWorld) -> None:
    """The call is given up while the toggle is stored: what is kept of the ride is voided all the same."""
    order = await world.make_order()
    for toggle in (True, False, True):
        await world.card(order)
        world.faults.calls.clear()
        moving = asyncio.create_task(world.card(order, toggle=toggle))
        await until(lambda: any(one.endswith("ShareWithFamily") for one in world.faults.called))
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)

        async def shows(toggle: bool = toggle) -> bool:
            return is_selected(await world.card(order)) is toggle is await world.is_shared(order)

        await until(shows)


async def test_riders_who_poll_and_toggle_at_once_see_the_truth_in_the_end(world: CardWorld) -> None:
    order, stopped = await world.make_order(), asyncio.Event()

    async def poll() -> None:
        while not stopped.is_set():
            await world.card(order)

    async with asyncio.TaskGroup() as pollers:
        for _ in range(4):
            pollers.create_task(poll())
        for number in range(12):
            assert is_selected(await world.card(order, toggle=number % 2 == 0)) is (number % 2 == 0)
            assert is_selected(await world.card(order)) is (number % 2 == 0)
        stopped.set()


async def test_nothing_personal_is_logged_or_counted(world: CardWorld, log: LogCapture) -> None:
    orders = [await world.make_order(), await world.make_order(uid="4010")]
    for order, uid in zip(orders, (RIDER, "4010"), strict=True):
        for toggle in (True, None, False):
            await world.card(order, toggle=toggle, uid=uid)
    world.faults.fail(erroring, "RouteSharingService")
    world.faults.fail(down, "FamilyService")
    await world.card(orders[0], toggle=True)
    await world.card(await world.make_order())
    planted = (ADMIN_NAME, ADMIN_PHONE, RIDER_PHONE, f'"{RIDER}"', '"4010"', f"key-of-{orders[0]}")
    assert log.events("left out of a card")
    for word in planted:
        assert word not in log.text
    labels = json.dumps([list(map(list, counted(name))) for name in ("ridehail_api_proxy_card_left_out",)])
    assert not any(word in labels for word in planted)
