"""Whatever is wrong with a launch, it is refused by field and rule, by both doors alike, and nobody is bothered."""

from __future__ import annotations

import asyncio
import itertools
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from tests.api_proxy.proxy import LAUNCH, Proxy, flag, serving, write_flags
from tests.api_proxy.scripted_eulas import ScriptedEulas, failing
from tests.api_proxy.scripted_orders import WHOLE, ScriptedOrders, scripted_orders
from tests.api_proxy.test_bad_input import BAD_IDS
from tests.support.calls import failure_of
from tests.support.suite_in_process import suite_in_process
from tests.support.world import World, behind_a_gateway

ORDER: dict[str, Any] = {"orderid": "order", "service": "taxi"}
KIND = "known_order.kind"
# No JSON holds a NUL character, whatever it stands for.
BAD_IN_JSON = {what: bad for what, bad in BAD_IDS.items() if "\0" not in bad}


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
NO_STRINGS: tuple[object, ...] = (1590674415, None, True, {}, ["a"])
NO_ORDERS: tuple[object, ...] = (7, "text", [7], ["text"])
NO_SERVICES: tuple[object, ...] = (7, {"a": 7}, [7], [{}])
# What is wrong, and the broken rules by field.
BAD: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    **{
        f"a service: {what}": ({"supported_services": ["x", bad]}, [("supported_services[1]", "string.id")])
        for what, bad in BAD_IDS.items()
    },
    **{
        f"an order: {what}": (changed(orderid=bad), [("known_orders[1].orderid", "string.id")])
        for what, bad in BAD_IN_JSON.items()
    },
    **{
        f"an order's service: {what}": (changed(service=bad), [("known_orders[1].service", "string.id")])
        for what, bad in BAD_IN_JSON.items()
    },
    **{
        f"a part: {what}": (changed(tags={bad: "tag"}), [(f'known_orders[1].tags["{bad}"]', "string.id")])
        for what, bad in BAD_IN_JSON.items()
        if len(bad.encode()) < 150
    },
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
    **{
        f"{name} is {bad!r}": (changed(**{name: bad}), [(f"known_orders[1].{name}", KIND)])
        for name, bad in (
            ("orderid", 7),
            ("service", ["taxi"]),
            ("status", {}),
            ("force", "true"),
            ("force", 1),
            ("tags", ["a"]),
            ("tags", "a"),
            ("details", []),
            ("details", "text"),
        )
    },
    **{f"a tag is {bad!r}": (changed(tags={"x": bad}), [('known_orders[1].tags["x"]', KIND)]) for bad in NO_STRINGS},
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
    """api_proxy with scripted neighbours, and a gateway before it."""

    orders: ScriptedOrders
    eulas: ScriptedEulas
    proxy: Proxy
    world: World

    async def post(self, body: str) -> tuple[int, dict[str, Any]]:
        """Returns status and JSON of an answer of the gateway."""
        url = f"http://127.0.0.1:{self.world.gateway.public_port}/3.0/launch"
        request = urllib.request.Request(url, body.encode(), self.world.session(uid="uid"), method="POST")

        def send() -> tuple[int, bytes]:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        status, answer = await asyncio.to_thread(send)
        return status, json.loads(answer)


@pytest.fixture
async def doors(eulas: ScriptedEulas, keys_dir: Path, config_dir: Path, tmp_path: Path) -> AsyncIterator[Doors]:
    write_flags(config_dir, launch_orders_state_fallback=flag(default="on"))
    async with AsyncExitStack() as stack:
        scripted = await stack.enter_async_context(scripted_orders())
        scripted.on[WHOLE] = failing(grpc.StatusCode.INTERNAL)
        addresses = {"order-core": scripted.address, "order-state": scripted.address}
        proxy = await stack.enter_async_context(
            serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address, neighbours=addresses)
        )
        running = suite_in_process(
            database_url="",
            keys_dir=keys_dir,
            config_dir=config_dir,
            services=["api-proxy", "passenger-authorizer"],
            addresses={**addresses, "eulas": eulas.address},
        )
        suite = await stack.enter_async_context(running)
        world = await stack.enter_async_context(behind_a_gateway(suite, tmp_path))
        yield Doors(scripted, eulas, proxy, world)


async def test_what_is_wrong_is_told_by_field_and_rule_by_both_doors_alike(doors: Doors) -> None:
    for what, (body, broken) in BAD.items():
        request = ParseDict(body, api.LaunchRequest())
        error = await failure_of(doors.proxy.channel, LAUNCH, request, metadata=doors.proxy.metadata())
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), what
        assert [(one.field, one.reason) for one in error.violations] == broken, what
        status, answer = await doors.post(json.dumps(body))
        assert (status, answer["code"]) == (400, 3), what
        info, bad_request = answer["details"]
        assert info["reason"] == "INVALID_REQUEST", what
        assert [(one["field"], one["reason"]) for one in bad_request["field_violations"]] == broken, what
    assert (doors.orders.asked, doors.eulas.listed) == ([], [])


async def test_what_is_no_launch_at_all_is_refused_at_the_door(doors: Doors) -> None:
    for body in UNREADABLE:
        status, answer = await doors.post(body)
        assert (status, answer["code"], answer["details"]) == (400, 3, []), body
    status, answer = await doors.post(json.dumps(orders(ORDER | {"padding": "x" * 300_000})))
    assert (status, answer["code"]) == (413, 8)
    for garbage in (b"\xff", b"\x0a\x05ab", b"\x12\x02\xff\xfe"):
        error = await failure_of(doors.proxy.channel, LAUNCH, garbage, metadata=doors.proxy.metadata())
        assert [(one.field, one.reason) for one in error.violations] == [("", "message.encoding")]
    assert (doors.orders.asked, doors.eulas.listed) == ([], [])


async def test_the_limits_themselves_are_fine(doors: Doors) -> None:
    tags = {f"{number:0128}": "x" * 256 for number in range(20)}
    largest = [ORDER | {"orderid": f"{number:0128}", "status": "x" * 128, "tags": tags} for number in range(50)]
    body = {"supported_services": [f"{number:0128}" for number in range(20)], "known_orders": largest}
    # A request has 256 KiB, so not all of the limits at once.
    assert "eulas" in await doors.proxy.launch(body | {"known_orders": [one | {"tags": {}} for one in largest]})
    assert len(doors.orders.whole.known_orders) == 50
    status, answer = await doors.post(json.dumps(body | {"known_orders": largest[:25]}))
    assert (status, answer["eulas"]) == (200, {"accepted": []})
    for fine in ({}, {"unknown": 1, "known_orders": []}, {"supported_services": None, "known_orders": None}):
        assert (await doors.post(json.dumps(fine)))[0] == 200, fine


async def test_nested_members_come_back_or_are_refused(doors: Doors) -> None:
    """However deep: an app gets an answer that it can read, or is told that the request cannot be read."""
    for depth in (1, 10, 29, 30, 31, 32, 33, 50, 200):
        for kind, name in itertools.product(("object", "list"), ("details", "card")):
            nested = object_of(depth) if kind == "object" else {"list": list_of(depth - 1)}
            status, answer = await doors.post(json.dumps(orders(ORDER | {name: nested})))
            case = f"{name}, {kind}, {depth} levels"
            if depth > 30:
                assert status == 400, case
                continue
            assert status == 200, case
            (order,) = answer["mlutp_orders_state"]["orders"]
            assert order[name] == nested, case
