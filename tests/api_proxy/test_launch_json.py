"""The documented exchange, through the gateway, literal for literal."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ridehail_clients import AsyncOrderCoreClient
from ridehail_servers.api_proxy.launch.local_state import ASK_NOW
from tests.api_proxy.proxy import flag, write_flags
from tests.api_proxy.test_outages import nobody
from tests.support.config_edits import edit
from tests.support.suite_in_process import suite_in_process
from tests.support.world import World, behind_a_gateway

GOLDEN = Path(__file__).parent / "golden"
UID = "4000000077"
VERSIONS = {"fast_info": "encoded_tag", "part2": "encoded_tag"}
STAGES = ("stage1", "stage2")


def documented(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


@asynccontextmanager
async def gateway(
    database_url: str, keys_dir: Path, config_dir: Path, folder: Path, *, down: tuple[str, ...], stage: str = "stage1"
) -> AsyncIterator[World]:
    """Runs the suite behind a gateway, with a taxi order of the rider and without some of the services."""
    launch = {"orders_state": stage, "provider_timeout_ms": 700, "order_state_timeout_ms": 850}
    edit(config_dir / "api_proxy.yaml", {"launch": launch, "EULAS_TIMEOUT_MS": 700})
    edit(config_dir / "order_state.yaml", {"provider_timeout_ms": 600})
    with nobody() as nowhere:
        running = suite_in_process(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            addresses=dict.fromkeys(down, nowhere),
        )
        async with running as suite, behind_a_gateway(suite, folder) as world:
            async with AsyncOrderCoreClient(suite.address, ticket=suite.ticket("admin")) as order_core:
                document = {"order": {"status": "driving"}, "parts": VERSIONS}
                await order_core.put_order(order_id="order1", yandex_uid=UID, document=document)
            yield world


async def post(world: World, body: bytes) -> dict[str, Any]:
    url = f"http://127.0.0.1:{world.gateway.public_port}/3.0/launch"
    request = urllib.request.Request(url, body, world.session(uid=UID), method="POST")

    def send() -> dict[str, Any]:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answered: dict[str, Any] = json.loads(answer.read())
        return answered

    return await asyncio.to_thread(send)


@pytest.mark.parametrize("stage", STAGES)
async def test_the_documented_request_is_answered_as_documented(
    database_url: str, keys_dir: Path, config_dir: Path, tmp_path: Path, stage: str
) -> None:
    """The taxi order has moved on; eats and grocery do not answer."""
    down = ("eats-orders", "grocery-orders")
    async with gateway(database_url, keys_dir, config_dir, tmp_path, down=down, stage=stage) as world:
        answer = await post(world, (GOLDEN / "launch_request.json").read_bytes())
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
    state = answer["mlutp_orders_state"]
    assert all(len(tag) > 20 for tag in state["tags"].values())
    state["tags"] = dict.fromkeys(state["tags"], "encoded_tags")
    assert answer == {"mlutp_orders_state": expected, "eulas": {"accepted": []}}


async def test_without_order_state_the_documented_request_is_answered_in_the_same_shape(
    database_url: str, keys_dir: Path, config_dir: Path, tmp_path: Path
) -> None:
    write_flags(config_dir, launch_orders_state_fallback=flag(default="on"))
    async with gateway(database_url, keys_dir, config_dir, tmp_path, down=("order-state",)) as world:
        answer = await post(world, (GOLDEN / "launch_request.json").read_bytes())
    expected = documented("launch_response.json")["mlutp_orders_state"]
    state = answer["mlutp_orders_state"]
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
