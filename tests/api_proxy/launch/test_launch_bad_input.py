"""Whatever is wrong with a launch, it is refused by field and rule, by both doors alike, and nobody is bothered."""

from __future__ import annotations

import asyncio
import itertools
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_clients import ServiceError
from ridehail_servers.api_proxy.definition import DEFINITION as API_PROXY
from tests.api_proxy.launch.scripted_orders import WHOLE, ScriptedOrders
from tests.api_proxy.proxy import EVER_MS, LAUNCH, NOWHERE, flag, write_flags
from tests.api_proxy.scripted_eulas import ScriptedEulas, failing
from tests.support.calls import failure_of
from tests.support.config_edits import edit
from tests.support.harness import Harness, behind_a_gateway
from tests.support.suite_in_process import suite_in_process
from tests.support.waiting import LIMIT_S

ORDER: dict[str, Any] = {"orderid": "order", "service": "taxi"}
KIND = "known_order.kind"


def orders(*known: object) -> dict[str, Any]:
    return {"supported_services": ["taxi"], "known_orders": list(known)}


def changed(**members: object) -> dict[str, Any]:
    """Returns a request whose second order has these members."""
    return orders(ORDER | {"orderid": "first"}, ORDER | members)


def object_of(levels: int) -> object:
    return "leaf" if levels == 0 else {"a": object_of(levels - 1)}


def list_of(levels: int) -> object:
    return "leaf" if levels == 0 else [list_of(levels - 1)]


def many(number: int) -> list[dict[str, Any]]:
    return [ORDER | {"orderid": str(one)} for one in range(number)]


DEEP = object_of(31)
NO_ORDERS: tuple[object, ...] = (7, "text", [7], ["text"])
NO_SERVICES: tuple[object, ...] = (7, {"a": 7}, [7], [{}])
# What is wrong, and the broken rules by field: of each rule one case. All that may be wrong with an order has
# `test_known_orders`.
BAD: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "a service": ({"supported_services": ["x", "a\nb"]}, [("supported_services[1]", "string.id")]),
    "an order": (changed(orderid=""), [("known_orders[1].orderid", "string.id")]),
    "a part": (changed(tags={"zone\u200b": "tag"}), [('known_orders[1].tags["zone\u200b"]', "string.id")]),
    "an order with NUL": (changed(orderid="a\0"), [('known_orders[1]["orderid"]', "json.no_nul")]),
    "too many services": (
        {"supported_services": [str(number) for number in range(21)]},
        [("supported_services", "repeated.max_items")],
    ),
    "too many orders": (orders(*many(51)), [("known_orders", "repeated.max_items")]),
    "too many parts": (
        changed(tags={str(number): "" for number in range(21)}),
        [("known_orders[1].tags", "map.max_pairs")],
    ),
    "a huge tag": (changed(tags={"part": "x" * 257}), [('known_orders[1].tags["part"]', "string.max_len")]),
    "a huge status": (changed(status="x" * 129), [("known_orders[1].status", "string.max_len")]),
    "an empty order": (
        orders({}),
        [("known_orders[0].orderid", "string.id"), ("known_orders[0].service", "string.id")],
    ),
    "an order twice": (orders(ORDER, ORDER), [("known_orders", "order_state.unique")]),
    "an order twice, not the same": (
        orders(ORDER | {"force": True}, ORDER | {"a": 1}),
        [("known_orders", "order_state.unique")],
    ),
    "an order twice, of an app that cannot poll": (
        {"known_orders": [ORDER, ORDER]},
        [("known_orders", "order_state.unique")],
    ),
    "a status of another kind": (changed(status={}), [("known_orders[1].status", KIND)]),
    "a tag of another kind": (changed(tags={"x": None}), [('known_orders[1].tags["x"]', KIND)]),
    "details that nest too deep": (
        changed(details=DEEP),
        [('known_orders[1]["details"]' + '["a"]' * 30, "json.depth")],
    ),
    "a member of its own that nests too deep": (
        changed(card=[DEEP]),
        [('known_orders[1]["card"][0]' + '["a"]' * 29, "json.depth")],
    ),
    "all of that at once": (
        orders({"orderid": 7, "status": "x" * 129}, ORDER | {"tags": {"a": 1, "b": "x" * 257}}),
        [
            ("known_orders[0].orderid", KIND),
            ("known_orders[0].service", "string.id"),
            ("known_orders[0].status", "string.max_len"),
            ('known_orders[1].tags["a"]', KIND),
            ('known_orders[1].tags["b"]', "string.max_len"),
        ],
    ),
}
# What the gateway refuses, since it is no JSON of the contract.
UNREADABLE: tuple[str, ...] = (
    "{",
    "[]",
    '"text"',
    "\x00",
    "{} {}",
    *(json.dumps({"known_orders": value}) for value in NO_ORDERS),
    *(json.dumps({"supported_services": value}) for value in NO_SERVICES),
)


@dataclass(frozen=True)
class Doors:
    """api_proxy with scripted dependencies, and a gateway before it."""

    orders: ScriptedOrders
    eulas: ScriptedEulas
    channel: grpc.aio.Channel
    harness: Harness

    async def refusal(self, request: api.LaunchRequest | bytes) -> ServiceError:
        """Returns how a call by gRPC fails."""
        metadata = self.harness.suite.metadata("gateway", "api-proxy", "uid")
        return await failure_of(self.channel, LAUNCH, request, metadata=metadata)

    async def post(self, body: str) -> tuple[int, dict[str, Any]]:
        """Returns status and JSON of a response of the gateway."""
        url = f"http://127.0.0.1:{self.harness.gateway.public_port}/3.0/launch"
        request = urllib.request.Request(url, body.encode(), self.harness.session(uid="uid"), method="POST")

        def send() -> tuple[int, bytes]:
            try:
                with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
                    return response.status, response.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        status, response = await asyncio.to_thread(send)
        return status, json.loads(response)


@pytest.fixture(scope="module")
async def module_doors(
    module_eulas: ScriptedEulas,
    module_orders: ScriptedOrders,
    keys_dir: Path,
    module_config_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Doors]:
    edit(module_config_dir / "api_proxy.yaml", {"EULAS_TIMEOUT_MS": EVER_MS})
    write_flags(module_config_dir, launch_orders_state_fallback=flag(default="on"))
    running = suite_in_process(
        database_url="",
        keys_dir=keys_dir,
        config_dir=module_config_dir,
        services=["api-proxy", "passenger-authorizer"],
        addresses={
            **dict.fromkeys(API_PROXY.dependencies, NOWHERE),
            "eulas": module_eulas.address,
            "order-core": module_orders.address,
            "order-state": module_orders.address,
        },
    )
    async with (
        running as suite,
        suite.channel() as channel,
        behind_a_gateway(suite, tmp_path_factory.mktemp("gateway")) as harness,
    ):
        yield Doors(module_orders, module_eulas, channel, harness)


@pytest.fixture
def doors(module_doors: Doors, orders: ScriptedOrders, eulas: ScriptedEulas) -> Doors:
    """order_state fails, so that the response shows what was understood of the request."""
    orders.on[WHOLE] = failing(grpc.StatusCode.INTERNAL)
    return module_doors


async def test_what_is_wrong_is_told_by_field_and_rule_by_both_doors_alike(doors: Doors) -> None:
    for what, (body, broken) in BAD.items():
        error = await doors.refusal(ParseDict(body, api.LaunchRequest()))
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), what
        assert [(one.field, one.reason) for one in error.violations] == broken, what
        status, response = await doors.post(json.dumps(body))
        assert (status, response["code"]) == (400, 3), what
        info, bad_request = response["details"]
        assert info["reason"] == "INVALID_REQUEST", what
        assert [(one["field"], one["reason"]) for one in bad_request["field_violations"]] == broken, what
    assert (doors.orders.asked, doors.eulas.listed) == ([], [])


async def test_what_is_no_launch_at_all_is_refused_at_the_door(doors: Doors) -> None:
    for body in UNREADABLE:
        status, response = await doors.post(body)
        assert (status, response["code"], response["details"]) == (400, 3, []), body
    status, response = await doors.post(json.dumps(orders(ORDER | {"padding": "x" * 300_000})))
    assert (status, response["code"]) == (413, 8)
    for garbage in (b"\xff", b"\x0a\x05ab", b"\x12\x02\xff\xfe"):
        error = await doors.refusal(garbage)
        assert [(one.field, one.reason) for one in error.violations] == [("", "message.encoding")]
    assert (doors.orders.asked, doors.eulas.listed) == ([], [])


async def test_the_limits_themselves_are_fine(doors: Doors) -> None:
    tags = {f"{number:0128}": "x" * 256 for number in range(20)}
    largest = [ORDER | {"orderid": f"{number:0128}", "status": "x" * 128, "tags": tags} for number in range(50)]
    body = {"supported_services": [f"{number:0128}" for number in range(20)], "known_orders": largest}
    # A request has 256 KiB, so not all of the limits at once.
    status, response = await doors.post(json.dumps(body | {"known_orders": [one | {"tags": {}} for one in largest]}))
    assert (status, "eulas" in response) == (200, True)
    assert len(doors.orders.whole.known_orders) == 50
    status, response = await doors.post(json.dumps(body | {"known_orders": largest[:25]}))
    assert (status, response["eulas"]) == (200, {"accepted": []})
    for fine in ({}, {"unknown": 1, "known_orders": []}, {"supported_services": None, "known_orders": None}):
        assert (await doors.post(json.dumps(fine)))[0] == 200, fine


async def test_nested_members_come_back_or_are_refused(doors: Doors) -> None:
    """However deep: an app gets a response that it can read, or an error that the request cannot be read."""
    for depth in (1, 29, 30, 31, 33, 200):
        for kind, name in itertools.product(("object", "list"), ("details", "card")):
            nested = object_of(depth) if kind == "object" else {"list": list_of(depth - 1)}
            status, response = await doors.post(json.dumps(orders(ORDER | {name: nested})))
            case = f"{name}, {kind}, {depth} levels"
            if depth > 30:
                assert status == 400, case
                continue
            assert status == 200, case
            (order,) = response["mlutp_orders_state"]["orders"]
            assert order[name] == nested, case
