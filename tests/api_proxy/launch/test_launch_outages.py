"""Launch returns the rest whichever service fails: never an error for want of another service."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import pytest

from ridehail.orderprovider.v1 import order_provider_api_pb2 as provider_api
from ridehail.orderstate.v1 import order_state_api_pb2 as state_api
from ridehail.orderstate.v1 import order_state_pb2
from ridehail_servers.api_proxy.launch.local_state import ASK_NOW
from tests.api_proxy.launch.scripted_launch import (
    ACTIVE,
    BODY,
    CHANGES,
    FAILURES,
    KNOWN,
    STAGES,
    STATE,
    TOLD,
    WITHOUT,
    Harness,
    accepting,
    added,
    counted,
    deep,
    listing,
    telling,
)
from tests.api_proxy.launch.scripted_orders import SERVICE, TAXI, WHOLE, scripted_orders
from tests.api_proxy.proxy import EVER_MS, configure, failures, flag, mute, nobody, serving, write_flags
from tests.api_proxy.scripted_eulas import Behaviour, ScriptedEulas, failing, hanging, saying
from tests.support.log_capture import LogCapture
from tests.support.waiting import until

pytestmark = pytest.mark.integration

# --- while a service that keeps orders does not


def no_numbers(response: provider_api.ListActiveOrdersResponse | state_api.GetOrdersStateResponse) -> Behaviour:
    """Always this answer with an order whose details JSON cannot write."""
    order = response.orders.add(orderid="order")
    if isinstance(order, order_state_pb2.OrderState):
        order.service, order.update_status = "taxi", "actual"
    order.details.fields["prices"].list_value.values.add().number_value = math.nan
    return saying(response.SerializeToString())


def wait_for(behaviour: Behaviour) -> int:
    """Returns for how many milliseconds to wait: for what never comes, so that there is time for the others."""
    return 3000 if behaviour is hanging else EVER_MS


TWICE = {"orders": [{"orderid": "order"}, {"orderid": "order"}]}
TOO_MANY = {"orders": [{"orderid": str(number)} for number in range(101)]}
# How a service fails, and the reason under which that is counted.
BROKEN: dict[str, tuple[Behaviour, str]] = {
    "slow past its deadline": (hanging, "DEADLINE_EXCEEDED"),
    "unavailable": (failing(grpc.StatusCode.UNAVAILABLE), "UNAVAILABLE"),
    "erroring": (failing(grpc.StatusCode.INTERNAL), "INTERNAL"),
    "denying": (failing(grpc.StatusCode.PERMISSION_DENIED), "PERMISSION_DENIED"),
    "answering no message": (saying(b"\xff\xff\xff"), "INTERNAL"),
    "listing an order twice": (listing(TWICE), "UNREADABLE"),
    "listing an order without a name": (listing({"orders": [{"status": "driving"}]}), "UNREADABLE"),
    "listing too many": (listing(TOO_MANY), "UNREADABLE"),
    "listing details that nest too deep": (listing({"orders": [ACTIVE | {"details": deep(31)}]}), "UNREADABLE"),
    "listing numbers that are none": (no_numbers(provider_api.ListActiveOrdersResponse()), "UNREADABLE"),
}


@pytest.mark.parametrize(
    ("method", "service", "dependency"), [(TAXI, "taxi", "order-core"), (SERVICE, "eats", "order-state")]
)
async def test_a_service_that_does_not_answer_is_handed_on_as_failed(
    harness: Harness, log: LogCapture, method: str, service: str, dependency: str
) -> None:
    for state, (behaviour, reason) in BROKEN.items():
        proxy = harness.configured(providers_ms=wait_for(behaviour))
        harness.orders.asked.clear()
        harness.orders.on[method] = behaviour
        before = counted(FAILURES)
        response = await proxy.launch(BODY, uid="uid-4077")
        assert response["mlutp_orders_state"]["allowed_changes"] == CHANGES, state
        oks = {name: one.ok for name, one in harness.orders.whole.upstreams.items()}
        assert oks == {"taxi": service != "taxi", "eats": service != "eats"}, state
        assert not harness.orders.whole.upstreams[service].orders, state
        assert added(before, FAILURES) == {(dependency, service, reason): 1}, state
        assert len(harness.orders.requests(method)) == 1, f"{state}: asked again"
    warnings = log.events("launch is not answered")
    assert [(one["neighbour"], one["orders_of"], one["reason"]) for one in warnings] == [
        (dependency, service, reason) for _behaviour, reason in BROKEN.values()
    ]
    assert all(one["level"] == "warning" and one["request_id"] for one in warnings)
    assert "uid-4077" not in log.text


# --- while order_state does not


STATE_BROKEN: dict[str, tuple[Behaviour, str]] = {
    **dict(list(BROKEN.items())[:5]),
    "refusing the request": (failing(grpc.StatusCode.INVALID_ARGUMENT), "INVALID_ARGUMENT"),
    "telling an order twice": (telling({"orders": [TOLD, TOLD]}), "UNREADABLE"),
    "telling an order without a name": (telling({"orders": [TOLD | {"orderid": ""}]}), "UNREADABLE"),
    "telling an order of no service": (telling({"orders": [TOLD | {"service": ""}]}), "UNREADABLE"),
    "telling details that cannot be passed on": (telling({"orders": [TOLD | {"details": deep(31)}]}), "UNREADABLE"),
    "telling numbers that are none": (no_numbers(state_api.GetOrdersStateResponse()), "UNREADABLE"),
    "telling no status": (telling({"orders": [TOLD | {"update_status": ""}]}), "UNREADABLE"),
    "telling a status of its own": (telling({"orders": [TOLD | {"update_status": "fresh"}]}), "UNREADABLE"),
}


@pytest.mark.parametrize("stage", STAGES)
async def test_without_order_state_the_field_is_absent_or_made_without_it(harness: Harness, stage: str) -> None:
    """By the rider: who is in the experiment has the known orders, and tags to poll with."""
    for state, (behaviour, reason) in STATE_BROKEN.items():
        proxy = harness.configured(stage=stage, order_state_ms=wait_for(behaviour))
        harness.orders.on[WHOLE] = behaviour
        harness.orders.asked.clear()
        before, failed = counted(WITHOUT), counted(FAILURES)
        assert await proxy.launch(BODY, uid="other") == {"eulas": {"accepted": ["sdc"]}}, state
        response = await proxy.launch(BODY, uid="chosen")
        assert added(before, WITHOUT) == {("left_out", reason): 1, ("fallback", reason): 1}, state
        assert added(failed, FAILURES) == {("order-state", "all", reason): 2}, state
        assert len(harness.orders.requests(WHOLE)) == 2, f"{state}: asked again"
        assert response["eulas"] == {"accepted": ["sdc"]}, state
        local = response["mlutp_orders_state"]
        assert local["orders"] == [KNOWN | {"need_request": [], "update_status": "stale"}], state
        assert local["tags"] == {"taxi": ASK_NOW, "eats": ASK_NOW}, state
        assert local["allowed_changes"] == [
            {"service": "taxi", "can_make_more_orders": True},
            {"service": "eats", "can_make_more_orders": True},
        ], state
        parts = [one["part_name"] for one in local["polling_policy"]]
        assert parts == ["route", "fast_info", "part2", "full_info"], state


async def test_the_fallback_follows_edits_of_the_polling_policy(harness: Harness) -> None:
    harness.orders.on[WHOLE] = failing(grpc.StatusCode.INTERNAL)
    proxy = harness.configured(fallback=True)
    file = proxy.config_dir / "order_state.yaml"
    file.write_text(file.read_text().replace("url: /4.0/taxiroute", "url: /4.0/route"))
    proxy.controls.reload()
    state = (await proxy.launch(BODY))["mlutp_orders_state"]
    assert state["polling_policy"][0]["url"] == "/4.0/route"


# --- while eulas does not


EULAS_BROKEN: dict[str, tuple[Behaviour, str]] = {
    **dict(list(BROKEN.items())[:5]),
    "listing one without a name": (accepting(""), "UNREADABLE"),
    "listing one that is not accepted": (accepting("sdc", status="rejected"), "UNREADABLE"),
}


async def test_without_eulas_the_agreements_are_left_out(harness: Harness) -> None:
    for state, (behaviour, reason) in EULAS_BROKEN.items():
        proxy = harness.configured(eulas_ms=wait_for(behaviour))
        harness.eulas.on_list = behaviour
        before = failures().get(reason, 0)
        assert (await proxy.launch(BODY)).keys() == {"mlutp_orders_state"}, state
        assert failures()[reason] == before + 1, state


async def test_eulas_is_not_asked_while_the_service_is_disabled(harness: Harness) -> None:
    proxy = harness.configured(enabled=False)
    assert (await proxy.launch(BODY)).keys() == {"mlutp_orders_state"}
    assert harness.eulas.listed == []


# --- while nobody is there


@pytest.mark.parametrize("down", [nobody, mute])
async def test_services_that_are_not_there_cost_no_more_than_their_timeouts(
    keys_dir: Path, config_dir: Path, down: Callable[[], AbstractContextManager[str]]
) -> None:
    """Addresses that refuse connections, and such as take them and never say a word: else the call would be late."""
    timeouts = {"provider_timeout_ms": 200, "order_state_timeout_ms": 300}
    configure(config_dir, {}, timeout_ms=400, launch={"orders_state": "stage1", **timeouts})
    write_flags(config_dir, launch_orders_state_fallback=flag(default="on"))
    with down() as address:
        addresses = {"order-core": address, "order-state": address}
        async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=address, dependencies=addresses) as proxy:
            for _ in range(2):
                response = await proxy.launch(BODY)
                assert response.keys() == {"mlutp_orders_state"}
                assert response["mlutp_orders_state"]["tags"] == {"taxi": ASK_NOW, "eats": ASK_NOW}


async def test_services_are_used_again_as_soon_as_they_are_back(
    eulas: ScriptedEulas, keys_dir: Path, config_dir: Path
) -> None:
    configure(config_dir, {})
    write_flags(config_dir)
    with nobody() as address:
        port = int(address.rpartition(":")[2])
    addresses = {"order-core": address, "order-state": address}
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address, dependencies=addresses) as proxy:
        assert "mlutp_orders_state" not in await proxy.launch(BODY)
        async with scripted_orders(port=port) as orders:
            orders.on[WHOLE] = telling(STATE)

            async def is_told() -> bool:
                return "mlutp_orders_state" in await proxy.launch(BODY)

            await until(is_told)
