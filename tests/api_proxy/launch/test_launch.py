"""Which services launch calls, with which timeouts, and what it returns to the app."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from ridehail.eulas.v1 import eulas_api_pb2
from tests.api_proxy.launch.scripted_launch import (
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
    Harness,
    accepting,
    added,
    counted,
    deep,
    listing,
    no_such_service,
    telling,
)
from tests.api_proxy.launch.scripted_orders import SERVICE, TAXI, WHOLE
from tests.api_proxy.proxy import json_form
from tests.api_proxy.scripted_eulas import ROUNDING_S, failing, hanging, together
from tests.support.waiting import until

# --- while all answer


@pytest.mark.parametrize("stage", STAGES)
async def test_the_app_is_told_what_order_state_and_eulas_say(harness: Harness, stage: str) -> None:
    harness.eulas.on_list = accepting("surge_il", "sdc")
    told = TOLD | {"card": KNOWN["card"]} | ({"status": KNOWN["status"]} if stage == "stage1" else {})
    proxy = harness.configured(stage=stage)
    response = await proxy.launch(BODY, uid="rider")
    assert response == {
        "mlutp_orders_state": STATE | {"orders": [told, NEW]},
        "eulas": {"accepted": ["surge_il", "sdc"]},
    }
    assert json_form(harness.orders.whole) | {"upstreams": None} == {
        "yandex_uid": "rider",
        "supported_services": SUPPORTED,
        "known_orders": [{name: value for name, value in KNOWN.items() if name != "card"} | {"force": False}],
        "upstreams": None,
    }
    assert harness.eulas.listed == [eulas_api_pb2.ListEulasRequest(yandex_uid="rider", filter="accepted")]


async def test_stage_1_gives_back_the_status_that_the_app_sent_if_it_sent_one(harness: Harness) -> None:
    known = [KNOWN, KNOWN | {"service": "eats"}, {"orderid": "new", "service": "eats"}]
    harness.orders.on[WHOLE] = telling({"orders": [TOLD, TOLD | {"service": "eats", "status": "eaten"}, NEW]})
    for stage, statuses in (
        ("stage1", ["driving", "driving", "transporting"]),
        ("stage2", ["transporting", "eaten", "transporting"]),
    ):
        proxy = harness.configured(stage=stage)
        response = await proxy.launch(BODY | {"known_orders": known})
        assert [order["status"] for order in response["mlutp_orders_state"]["orders"]] == statuses


async def test_stage_1_hands_on_what_the_services_answer(harness: Harness) -> None:
    listed = {"can_make_more_orders": False, "no_more_orders_reason": "closed", "orders": [ACTIVE | {"orderid": "e"}]}
    harness.orders.on[SERVICE] = listing(listed)
    proxy = harness.configured()
    await proxy.launch(BODY | {"supported_services": ["eats", "taxi", "eats"]}, uid="rider")
    upstreams = {"taxi": {"ok": True, **LISTED}, "eats": {"ok": True, **listed}}
    assert json_form(harness.orders.whole)["upstreams"] == upstreams
    assert harness.orders.whole.supported_services == ["eats", "taxi"]
    (eats,), (taxi,) = harness.orders.requests(SERVICE), harness.orders.requests(TAXI)
    assert json_form(eats) == {"service": "eats", "yandex_uid": "rider"}
    assert json_form(taxi) == {"yandex_uid": "rider"}
    assert harness.orders.asked[-1][0] == WHOLE


async def test_stage_1_asks_for_services_that_the_app_supports_and_that_the_configuration_names(
    harness: Harness,
) -> None:
    proxy = harness.configured()
    await proxy.launch({"supported_services": ["nowhere", "grocery", "etc..."], "known_orders": [KNOWN]})
    assert [name for name, _ in harness.orders.asked] == [SERVICE, WHOLE]
    assert list(harness.orders.whole.upstreams) == ["grocery"]
    assert harness.orders.whole.supported_services == ["nowhere", "grocery", "etc..."]


async def test_a_service_that_order_state_does_not_know_is_left_to_it(harness: Harness) -> None:
    harness.orders.on[SERVICE] = failing(grpc.StatusCode.NOT_FOUND, no_such_service())
    before = counted(FAILURES)
    proxy = harness.configured()
    assert "mlutp_orders_state" in await proxy.launch(BODY)
    assert list(harness.orders.whole.upstreams) == ["taxi"]
    assert added(before, FAILURES) == {}


async def test_stage_2_asks_order_state_alone(harness: Harness) -> None:
    proxy = harness.configured(stage="stage2")
    await proxy.launch(BODY)
    assert [name for name, _ in harness.orders.asked] == [WHOLE]
    assert harness.orders.whole.upstreams == {}


@pytest.mark.parametrize("stage", STAGES)
async def test_an_app_that_supports_no_service_is_told_of_no_orders(harness: Harness, stage: str) -> None:
    harness.eulas.on_list = accepting()
    proxy = harness.configured(stage=stage, fallback=True)
    assert await proxy.launch({"known_orders": [KNOWN]}) == {"eulas": {"accepted": []}}
    assert await proxy.launch() == {"eulas": {"accepted": []}}
    assert harness.orders.asked == []


@pytest.mark.parametrize("stage", STAGES)
async def test_an_app_that_knows_no_order_is_told_of_all(harness: Harness, stage: str) -> None:
    response = await harness.configured(stage=stage).launch({"supported_services": SUPPORTED})
    assert response["mlutp_orders_state"] == STATE
    assert list(harness.orders.whole.known_orders) == []


async def test_everything_is_asked_at_once(harness: Harness) -> None:
    """No service responds before all have been called."""
    all_asked = asyncio.Barrier(4)
    harness.orders.on |= {TAXI: together(all_asked, listing(LISTED)), SERVICE: together(all_asked, listing({}))}
    harness.eulas.on_list = together(all_asked, accepting("sdc"))
    response = await harness.configured().launch(BODY | {"supported_services": ["taxi", "eats", "grocery"]})
    assert response["eulas"] == {"accepted": ["sdc"]}
    assert [one.ok for one in harness.orders.whole.upstreams.values()] == [True] * 3


async def test_details_of_thirty_levels_are_passed_on(harness: Harness) -> None:
    harness.orders.on[WHOLE] = telling({"orders": [TOLD | {"details": deep(30)}]})
    proxy = harness.configured()
    (order,) = (await proxy.launch(BODY))["mlutp_orders_state"]["orders"]
    assert order["details"] == deep(30)


# --- how long


@pytest.mark.parametrize(("stage", "at_least"), [("stage1", 0.7), ("stage2", 0.4)])
async def test_the_rider_waits_for_both_timeouts_and_not_longer(harness: Harness, stage: str, at_least: float) -> None:
    """Nobody answers, so every call goes on until its own end: those have the times of the configuration."""
    harness.orders.on = dict.fromkeys((TAXI, SERVICE, WHOLE), hanging)
    proxy = harness.configured(stage=stage, providers_ms=300, order_state_ms=400)
    for number, uid in enumerate(("other", "chosen"), start=1):
        started = time.monotonic()
        response = await proxy.launch(BODY, uid=uid)
        assert time.monotonic() - started >= at_least * 0.95
        assert ("mlutp_orders_state" in response) == (uid == "chosen")
        for method, seconds in ((TAXI, 0.3), (SERVICE, 0.3), (WHOLE, 0.4)):
            left = harness.orders.seconds_left.get(method, [])
            assert max(left, default=0) <= seconds + ROUNDING_S
            assert len(left) <= number  # no second attempts


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("seconds", [1.5, None], ids=["the caller's", "the contract's"])
async def test_nobody_is_waited_for_beyond_the_calls_own_time_whatever_the_configuration_says(
    harness: Harness, stage: str, seconds: float | None
) -> None:
    """A fifth is left for the response; the services that keep orders leave order_state its share."""
    await harness.configured(stage=stage).launch(BODY, timeout=seconds)
    all_s = (seconds or 2) * 0.8
    shares = {TAXI: 0.5, SERVICE: 0.5, WHOLE: 0.5} if stage == "stage1" else {WHOLE: 1.0}
    for method, share in shares.items():
        (left,) = harness.orders.seconds_left[method]
        assert left <= all_s * share + ROUNDING_S
    (left,) = harness.eulas.seconds_left
    assert left <= all_s + ROUNDING_S


async def test_a_rider_who_hangs_up_is_no_failure_of_anybody(harness: Harness) -> None:
    harness.orders.on[WHOLE] = hanging
    proxy = harness.configured(fallback=True)
    before, failed = counted(WITHOUT), counted(FAILURES)
    asking = asyncio.create_task(proxy.launch(BODY))
    await until(lambda: harness.orders.requests(WHOLE))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    harness.orders.on[WHOLE] = telling(STATE)
    await proxy.launch(BODY)
    assert (added(before, WITHOUT), added(failed, FAILURES)) == ({}, {})
