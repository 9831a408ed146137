"""The documented exchange, through the gateway, literal for literal."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ridehail_clients import AsyncOrderCoreClient
from ridehail_servers.api_proxy.definition import DEFINITION as API_PROXY
from ridehail_servers.api_proxy.launch.local_state import ASK_NOW
from tests.api_proxy.proxy import EVER_MS, NOWHERE, configure, flag, write_flags
from tests.support.config_edits import edit
from tests.support.fault_proxy import FaultProxy, down, fault_proxy
from tests.support.harness import Harness, behind_a_gateway
from tests.support.service_controls import ServiceControls, controlled
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.waiting import LIMIT_S

GOLDEN = Path(__file__).parent / "golden"
UID = "4000000077"
VERSIONS = {"fast_info": "encoded_tag", "part2": "encoded_tag"}
STAGES = ("stage1", "stage2")
PATIENT = {"provider_timeout_ms": EVER_MS, "order_state_timeout_ms": EVER_MS}


def documented(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


@dataclass
class Door:
    """A gateway, the orders of a rider behind it, and a server that fails calls of order_state.

    Attributes:
        gateway: Takes the requests.
        faults: Before order_state.
        controls: Of api_proxy.
    """

    gateway: Harness
    faults: FaultProxy
    controls: ServiceControls


@pytest.fixture(scope="module")
async def module_door(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Door]:
    """Eats and grocery are not there."""
    edit(module_config_dir / "order_state.yaml", {"provider_timeout_ms": 1000})
    api_proxy, controls = controlled(API_PROXY, module_config_dir)
    running: list[SuiteInProcess] = []
    async with fault_proxy(lambda: running[0].address) as faults:
        served = suite_in_process(
            database_url=module_database_url,
            keys_dir=keys_dir,
            config_dir=module_config_dir,
            services=(api_proxy, "eulas", "order-core", "order-state", "passenger-authorizer"),
            addresses={"eats-orders": NOWHERE, "grocery-orders": NOWHERE, "order-state": faults.address},
        )
        async with served as suite, behind_a_gateway(suite, tmp_path_factory.mktemp("gateway")) as gateway:
            running.append(suite)
            yield Door(gateway, faults, controls)


@pytest.fixture
async def door(module_door: Door) -> Door:
    """The rider has a taxi order, and nobody fails."""
    suite = module_door.gateway.suite
    await suite.empty_tables()
    module_door.faults.heal()
    async with AsyncOrderCoreClient(suite.address, ticket=suite.ticket("admin")) as order_core:
        document = {"order": {"status": "driving"}, "parts": VERSIONS}
        await order_core.put_order(order_id="order1", yandex_uid=UID, document=document)
    return module_door


async def post(door: Door, body: bytes, *, stage: str = "stage1") -> dict[str, Any]:
    configure(door.controls.config_dir, {}, launch={"orders_state": stage, **PATIENT})
    write_flags(door.controls.config_dir, launch_orders_state_fallback=flag(default="on"))
    door.controls.reload()
    url = f"http://127.0.0.1:{door.gateway.gateway.public_port}/3.0/launch"
    request = urllib.request.Request(url, body, door.gateway.session(uid=UID), method="POST")

    def send() -> dict[str, Any]:
        with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
            answered: dict[str, Any] = json.loads(response.read())
        return answered

    return await asyncio.to_thread(send)


@pytest.mark.parametrize("stage", STAGES)
async def test_the_documented_request_is_answered_as_documented(door: Door, stage: str) -> None:
    """The taxi order has moved on; eats and grocery do not answer."""
    response = await post(door, (GOLDEN / "launch_request.json").read_bytes(), stage=stage)
    expected = documented("launch_response.json")["mlutp_orders_state"]
    # What the document shows otherwise than it can be: other orders than those of the request, ...
    for order in expected["orders"]:
        order["orderid"] = "order1"
    # ... a tag for a service that has just answered, the word of one that has not, ...
    del expected["tags"]["taxi"]
    expected["allowed_changes"][1]["no_more_orders_reason"] = "too_many_orders"
    # ... and nothing of grocery. Parts come by priority.
    expected["allowed_changes"].append({"service": "grocery", "can_make_more_orders": True})
    expected["polling_policy"].sort(key=lambda part: part["priority"])
    state = response["mlutp_orders_state"]
    assert all(len(tag) > 20 for tag in state["tags"].values())
    state["tags"] = dict.fromkeys(state["tags"], "encoded_tags")
    # What the document does not have yet.
    schedule = state.pop("polling_schedule")
    assert (schedule["interval_ms"], schedule["longest_pause_ms"]) == (10_000, 300_000)
    assert 5_000 <= schedule["next_poll_ms"] < 15_000
    assert response == {"mlutp_orders_state": expected, "eulas": {"accepted": []}}


async def test_without_order_state_the_documented_request_is_answered_in_the_same_shape(door: Door) -> None:
    door.faults.fail(down, "OrderStateService")
    response = await post(door, (GOLDEN / "launch_request.json").read_bytes())
    expected = documented("launch_response.json")["mlutp_orders_state"]
    state = response["mlutp_orders_state"]
    assert state["tags"] == dict.fromkeys(expected["tags"], ASK_NOW)
    known = documented("launch_request.json")["known_orders"]
    assert state["orders"] == [order | {"need_request": [], "update_status": "stale"} for order in known]
    assert [order.keys() for order in state["orders"]] == [order.keys() for order in expected["orders"]]
    assert state["polling_policy"] == sorted(expected["polling_policy"], key=lambda part: part["priority"])
    assert state["allowed_changes"] == [
        {"service": "taxi", "can_make_more_orders": True},
        {"service": "eats", "can_make_more_orders": False, "no_more_orders_reason": "too_many_orders"},
        {"service": "grocery", "can_make_more_orders": True},
    ]
