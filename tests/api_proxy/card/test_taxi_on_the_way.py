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
from ridehail_servers.api_proxy.card.metrics import PROMOS_LOOKED_UP, TOGGLES
from tests.api_proxy.card.card_harness import (
    ADMIN_NAME,
    ADMIN_PHONE,
    RIDER,
    RIDER_PHONE,
    STRANGER,
    TAXI_ON_THE_WAY,
    CardHarness,
    card_harness,
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
async def module_harness(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[CardHarness]:
    async with card_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, watched=False
    ) as harness:
        harness.set_timeouts()
        yield harness


@pytest.fixture
def harness(module_harness: CardHarness) -> CardHarness:
    """Nobody fails, and every order is new."""
    module_harness.heal()
    return module_harness


def outcomes() -> dict[str, float]:
    """Returns how often toggles came to what."""
    assert TOGGLES is not None
    return {labels[0]: value for labels, value in counted("ridehail_api_proxy_card_toggles").items()}


def lookups() -> dict[str, float]:
    assert PROMOS_LOOKED_UP is not None
    return {labels[0]: value for labels, value in counted("ridehail_api_proxy_card_promos_lookups").items()}


async def test_the_card_of_a_ride_from_the_first_look_to_the_second_toggle(harness: CardHarness) -> None:
    order = await harness.make_order()
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
    assert await harness.card(order) == expected
    on = expected | {"promos": [toggle_banner | {"is_selected": True}, SEAT_BELT]}
    assert await harness.card(order, toggle=True) == on
    assert await harness.card(order) == on
    assert await harness.is_shared(order)
    assert await harness.card(order, toggle=False) == expected
    assert await harness.card(order) == expected
    assert not await harness.is_shared(order)


async def test_plain_looks_are_answered_from_the_cache_and_a_toggle_is_not(harness: CardHarness) -> None:
    order, before = await harness.make_order(), lookups()
    for toggle in (None, None, True, None, None, False, None):
        harness.faults.calls.clear()
        await harness.card(order, toggle=toggle)
        asked = harness.faults.called.count("InappCommunicationsService/PromosOnTheWay")
        assert asked == (toggle is not None or lookups() == {**before, "miss": before.get("miss", 0) + 1})
    assert lookups() == {"hit": before.get("hit", 0) + 4, "miss": before.get("miss", 0) + 1}


async def test_banners_are_in_the_riders_language_and_each_is_kept_for_itself(harness: CardHarness) -> None:
    order = await harness.make_order()
    headers = {"ru-RU, en;q=0.5": "Пристегнитесь", "iw": "נא לחגור חגורת בטיחות", "fi": SEAT_BELT["title"], "": None}
    headers["x" * 5000] = SEAT_BELT["title"]
    for _ in range(2):
        for language, title in headers.items():
            card = await harness.card(order, accept_language=language)
            assert card["promos"][-1]["title"] == (title or SEAT_BELT["title"])


@pytest.mark.parametrize(("role", "shown"), [("owner", None), ("", None), ("user", False)])
async def test_only_a_member_moves_the_toggle(harness: CardHarness, role: str, shown: bool | None) -> None:
    order, before = await harness.make_order(), outcomes()
    card = await harness.card(order, toggle=None if role == "user" else True, role=role)
    assert is_selected(card) is shown
    assert SEAT_BELT in card["promos"]
    assert not await harness.is_shared(order)
    assert not any(one.endswith("ShareWithFamily") for one in harness.faults.called)
    if role != "user":
        assert outcomes() == {**before, "passed_over_role": before.get("passed_over_role", 0) + 1}


async def test_a_ride_that_cannot_be_shared_has_no_toggle(harness: CardHarness) -> None:
    order, before = await harness.make_order(shareable=False), outcomes()
    assert (await harness.card(order, toggle=True))["promos"] == [SEAT_BELT]
    assert outcomes()["passed_over_no_sharing_key"] == before.get("passed_over_no_sharing_key", 0) + 1
    assert not any("Sharing" in one for one in harness.faults.called)


async def test_a_toggle_that_is_refused_shows_what_is_the_case(harness: CardHarness) -> None:
    """The rider has the role, but has left the family meanwhile."""
    order, before = await harness.make_order(uid="4010"), outcomes()
    assert is_selected(await harness.card(order, toggle=True, uid="4010")) is False
    assert is_selected(await harness.card(order, uid="4010")) is False
    assert outcomes()["refused"] == before.get("refused", 0) + 1


async def test_a_ride_without_a_toll_road_shows_none(harness: CardHarness) -> None:
    left_out = counted("ridehail_api_proxy_card_left_out")
    card = await harness.card(await harness.make_order(toll_road=False))
    assert ("toll_road" in card, card["toll_road_status"]) == (False, "none")
    assert counted("ridehail_api_proxy_card_left_out") == left_out


async def test_to_a_stranger_the_ride_does_not_exist(harness: CardHarness) -> None:
    order = await harness.make_order()
    for toggle in (None, True):
        request = api.TaxiOnTheWayRequest(order_id=order)
        if toggle:
            request.user_actions.share_ride_with_family.value = True
        error = await failure_of(harness.channel, TAXI_ON_THE_WAY, request, metadata=harness.metadata(STRANGER))
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
        missing = await failure_of(
            harness.channel, TAXI_ON_THE_WAY, api.TaxiOnTheWayRequest(order_id="none"), metadata=harness.metadata()
        )
        assert (missing.code, missing.reason, missing.message) == (error.code, error.reason, error.message)
    assert harness.faults.called == []
    assert not await harness.is_shared(order)


async def test_the_apps_json_moves_the_toggle(harness: CardHarness) -> None:
    order = await harness.make_order()
    request = json_format.Parse(USER_ACTIONS, api.TaxiOnTheWayRequest(order_id=order))
    await call(harness.channel, TAXI_ON_THE_WAY, request, metadata=harness.metadata())
    assert await harness.is_shared(order)


async def test_absent_keys_are_no_action(harness: CardHarness) -> None:
    order = await harness.make_order()
    for body in ('{"user_actions": {}}', "{}"):
        request = json_format.Parse(body, api.TaxiOnTheWayRequest(order_id=order))
        await call(harness.channel, TAXI_ON_THE_WAY, request, metadata=harness.metadata())
    assert not any(one.endswith("ShareWithFamily") for one in harness.faults.called)


async def test_a_rider_who_goes_away_does_not_leave_an_old_answer_behind(harness: CardHarness) -> None:
    """The call is given up while the toggle is stored: what is kept of the ride is voided all the same."""
    order = await harness.make_order()
    for toggle in (True, False, True):
        await harness.card(order)
        harness.faults.calls.clear()
        moving = asyncio.create_task(harness.card(order, toggle=toggle))
        await until(lambda: any(one.endswith("ShareWithFamily") for one in harness.faults.called))
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)

        async def shows(toggle: bool = toggle) -> bool:
            return is_selected(await harness.card(order)) is toggle is await harness.is_shared(order)

        await until(shows)


async def test_riders_who_poll_and_toggle_at_once_see_the_truth_in_the_end(harness: CardHarness) -> None:
    order, stopped = await harness.make_order(), asyncio.Event()

    async def poll() -> None:
        while not stopped.is_set():
            await harness.card(order)

    async with asyncio.TaskGroup() as pollers:
        for _ in range(4):
            pollers.create_task(poll())
        for number in range(12):
            assert is_selected(await harness.card(order, toggle=number % 2 == 0)) is (number % 2 == 0)
            assert is_selected(await harness.card(order)) is (number % 2 == 0)
        stopped.set()


async def test_nothing_personal_is_logged_or_counted(harness: CardHarness, log: LogCapture) -> None:
    orders = [await harness.make_order(), await harness.make_order(uid="4010")]
    for order, uid in zip(orders, (RIDER, "4010"), strict=True):
        for toggle in (True, None, False):
            await harness.card(order, toggle=toggle, uid=uid)
    harness.faults.fail(erroring, "RouteSharingService")
    harness.faults.fail(down, "FamilyService")
    await harness.card(orders[0], toggle=True)
    await harness.card(await harness.make_order())
    planted = (ADMIN_NAME, ADMIN_PHONE, RIDER_PHONE, f'"{RIDER}"', '"4010"', f"key-of-{orders[0]}")
    assert log.events("left out of a card")
    for word in planted:
        assert word not in log.text
    labels = json.dumps([list(map(list, counted(name))) for name in ("ridehail_api_proxy_card_left_out",)])
    assert not any(word in labels for word in planted)
