"""What launch asks of whom, for how long, and what it tells the app."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from ridehail.eulas.v1 import eulas_api_pb2
from tests.api_proxy.proxy import json_form
from tests.api_proxy.scripted_eulas import ROUNDING_S, failing, hanging, together
from tests.api_proxy.scripted_launch import (
    ACTIVE,
    BODY,
    FAILURES,
    KNOWN,
    LISTED,
    NEW,
    STAGES,
    STATE,
    SUPPORTED,
    TOLD,
    WITHOUT,
    World,
    accepting,
    added,
    counted,
    deep,
    listing,
    no_such_service,
    telling,
)
from tests.api_proxy.scripted_orders import SERVICE, TAXI, WHOLE
from tests.support.waiting import until

# --- while all answer


@pytest.mark.parametrize("stage", STAGES)
async def test_the_app_is_told_what_order_state_and_eulas_say(world: World, stage: str) -> None:
    world.eulas.on_list = accepting("surge_il", "sdc")
    told = TOLD | {"card": KNOWN["card"]} | ({"status": KNOWN["status"]} if stage == "stage1" else {})
    proxy = world.configured(stage=stage)
    answer = await proxy.launch(BODY, uid="rider")
    assert answer == {
        "mlutp_orders_state": STATE | {"orders": [told, NEW]},
        "eulas": {"accepted": ["surge_il", "sdc"]},
    }
    assert json_form(world.orders.whole) | {"upstreams": None} == {
        "yandex_uid": "rider",
        "supported_services": SUPPORTED,
        "known_orders": [{name: value for name, value in KNOWN.items() if name != "card"} | {"force": False}],
        "upstreams": None,
    }
    assert world.eulas.listed == [eulas_api_pb2.ListEulasRequest(yandex_uid="rider", filter="accepted")]


async def test_stage_1_gives_back_the_status_that_the_app_sent_if_it_sent_one(world: World) -> None:
    known = [KNOWN, KNOWN | {"service": "eats"}, {"orderid": "new", "service": "eats"}]
    world.orders.on[WHOLE] = telling({"orders": [TOLD, TOLD | {"service": "eats", "status": "eaten"}, NEW]})
    for stage, statuses in (
        ("stage1", ["driving", "driving", "transporting"]),
        ("stage2", ["transporting", "eaten", "transporting"]),
    ):
        proxy = world.configured(stage=stage)
        answer = await proxy.launch(BODY | {"known_orders": known})
        assert [order["status"] for order in answer["mlutp_orders_state"]["orders"]] == statuses


async def test_stage_1_hands_on_what_the_services_answer(world: World) -> None:
    listed = {"can_make_more_orders": False, "no_more_orders_reason": "closed", "orders": [ACTIVE | {"orderid": "e"}]}
    world.orders.on[SERVICE] = listing(listed)
    proxy = world.configured()
    await proxy.launch(BODY | {"supported_services": ["eats", "taxi", "eats"]}, uid="rider")
    upstreams = {"taxi": {"ok": True, **LISTED}, "eats": {"ok": True, **listed}}
    assert json_form(world.orders.whole)["upstreams"] == upstreams
    assert world.orders.whole.supported_services == ["eats", "taxi"]
    (eats,), (taxi,) = world.orders.requests(SERVICE), world.orders.requests(TAXI)
    assert json_form(eats) == {"service": "eats", "yandex_uid": "rider"}
    assert json_form(taxi) == {"yandex_uid": "rider"}
    assert world.orders.asked[-1][0] == WHOLE


async def test_stage_1_asks_for_services_that_the_app_supports_and_that_the_configuration_names(world: World) -> None:
    proxy = world.configured()
    await proxy.launch({"supported_services": ["nowhere", "grocery", "etc..."], "known_orders": [KNOWN]})
    assert [name for name, _ in world.orders.asked] == [SERVICE, WHOLE]
    assert list(world.orders.whole.upstreams) == ["grocery"]
    assert world.orders.whole.supported_services == ["nowhere", "grocery", "etc..."]


async def test_a_service_that_order_state_does_not_know_is_left_to_it(world: World) -> None:
    world.orders.on[SERVICE] = failing(grpc.StatusCode.NOT_FOUND, no_such_service())
    before = counted(FAILURES)
    proxy = world.configured()
    assert "mlutp_orders_state" in await proxy.launch(BODY)
    assert list(world.orders.whole.upstreams) == ["taxi"]
    assert added(before, FAILURES) == {}


async def test_stage_2_asks_order_state_alone(world: World) -> None:
    proxy = world.configured(stage="stage2")
    await proxy.launch(BODY)
    assert [name for name, _ in world.orders.asked] == [WHOLE]
    assert world.orders.whole.upstreams == {}


@pytest.mark.parametrize("stage", STAGES)
async def test_an_app_that_supports_no_service_is_told_of_no_orders(world: World, stage: str) -> None:
    world.eulas.on_list = accepting()
    proxy = world.configured(stage=stage, fallback=True)
    assert await proxy.launch({"known_orders": [KNOWN]}) == {"eulas": {"accepted": []}}
    assert await proxy.launch() == {"eulas": {"accepted": []}}
    assert world.orders.asked == []


async def test_everything_is_asked_at_once(world: World) -> None:
    """Nobody answers before all have been asked."""
    all_asked = asyncio.Barrier(4)
    world.orders.on |= {TAXI: together(all_asked, listing(LISTED)), SERVICE: together(all_asked, listing({}))}
    world.eulas.on_list = together(all_asked, accepting("sdc"))
    answer = await world.configured().launch(BODY | {"supported_services": ["taxi", "eats", "grocery"]})
    assert answer["eulas"] == {"accepted": ["sdc"]}
    assert [one.ok for one in world.orders.whole.upstreams.values()] == [True] * 3


async def test_details_of_thirty_levels_are_passed_on(world: World) -> None:
    world.orders.on[WHOLE] = telling({"orders": [TOLD | {"details": deep(30)}]})
    proxy = world.configured()
    (order,) = (await proxy.launch(BODY))["mlutp_orders_state"]["orders"]
    assert order["details"] == deep(30)


# --- how long


@pytest.mark.parametrize(("stage", "at_least"), [("stage1", 0.7), ("stage2", 0.4)])
async def test_the_rider_waits_for_both_timeouts_and_not_longer(world: World, stage: str, at_least: float) -> None:
    """Nobody answers, so every call goes on until its own end: those have the times of the configuration."""
    world.orders.on = dict.fromkeys((TAXI, SERVICE, WHOLE), hanging)
    proxy = world.configured(stage=stage, providers_ms=300, order_state_ms=400)
    for number, uid in enumerate(("other", "chosen"), start=1):
        started = time.monotonic()
        answer = await proxy.launch(BODY, uid=uid)
        assert time.monotonic() - started >= at_least * 0.95
        assert ("mlutp_orders_state" in answer) == (uid == "chosen")
        for method, seconds in ((TAXI, 0.3), (SERVICE, 0.3), (WHOLE, 0.4)):
            left = world.orders.seconds_left.get(method, [])
            assert max(left, default=0) <= seconds + ROUNDING_S
            assert len(left) <= number  # no second attempts


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("seconds", [1.5, None], ids=["the caller's", "the contract's"])
async def test_nobody_is_waited_for_beyond_the_calls_own_time_whatever_the_configuration_says(
    world: World, stage: str, seconds: float | None
) -> None:
    """A fifth is left for the answer; the services that keep orders leave order_state its share."""
    await world.configured(stage=stage).launch(BODY, timeout=seconds)
    all_s = (seconds or 2) * 0.8
    shares = {TAXI: 0.5, SERVICE: 0.5, WHOLE: 0.5} if stage == "stage1" else {WHOLE: 1.0}
    for method, share in shares.items():
        (left,) = world.orders.seconds_left[method]
        assert left <= all_s * share + ROUNDING_S
    (left,) = world.eulas.seconds_left
    assert left <= all_s + ROUNDING_S


async def test_a_rider_who_hangs_up_is_no_failure_of_anybody(world: World) -> None:
    world.orders.on[WHOLE] = hanging
    proxy = world.configured(fallback=True)
    before, failed = counted(WITHOUT), counted(FAILURES)
    asking = asyncio.create_task(proxy.launch(BODY))
    await until(lambda: world.orders.requests(WHOLE))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    world.orders.on[WHOLE] = telling(STATE)
    await proxy.launch(BODY)
    assert (added(before, WITHOUT), added(failed, FAILURES)) == ({}, {})
