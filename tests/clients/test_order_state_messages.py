from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.orderstate.v1 import order_state_api_pb2 as order_state
from ridehail_clients import (
    ActiveOrder,
    ActiveOrders,
    AllowedChanges,
    KnownOrder,
    Launch,
    LaunchEulas,
    LaunchKnownOrder,
    LaunchOrder,
    MlutpOrdersState,
    OrdersState,
    OrdersStateAndPolicy,
    OrderState,
    PollingPolicy,
    ServiceError,
    UpdateStatus,
    Upstream,
)
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer, reply

ACTUAL, STALE = UpdateStatus.ACTUAL, UpdateStatus.STALE
KNOWN = KnownOrder(
    "order1", "taxi", "driving", tags={"fast_info": "7"}, force=True, details={"car": {"seats": 4}, "free": None}
)
KNOWN_JSON = {
    "orderid": "order1",
    "service": "taxi",
    "status": "driving",
    "tags": {"fast_info": "7"},
    "force": True,
    "details": {"car": {"seats": 4}, "free": None},
}
ORDERS_JSON: list[dict[str, Any]] = [
    {
        "orderid": "order1",
        "service": "taxi",
        "status": "driving",
        "tags": {"fast_info": "8", "part2": "1"},
        "need_request": ["part2", "fast_info"],
        "update_status": "actual",
        "details": {"seats": 4},
    },
    {"orderid": "order1", "service": "eats", "status": "cooking", "update_status": "stale"},
]
TAXI = OrderState(
    "order1", "taxi", "driving", {"fast_info": "8", "part2": "1"}, ("part2", "fast_info"), ACTUAL, {"seats": 4}
)
EATS = OrderState("order1", "eats", "cooking", {}, (), STALE, None)
ALLOWED_JSON: list[dict[str, Any]] = [
    {"service": "taxi", "can_make_more_orders": True},
    {"service": "eats", "no_more_orders_reason": "too_many_orders"},
]
ALLOWED = (
    AllowedChanges("taxi", can_make_more_orders=True),
    AllowedChanges("eats", can_make_more_orders=False, no_more_orders_reason="too_many_orders"),
)
POLICY_JSON: list[dict[str, Any]] = [
    {
        "service": "taxi",
        "part_name": "route",
        "url": "/4.0/taxiroute",
        "fields": ["taxiroute", "eta"],
        "polling_type": "route_distance_depended",
        "part_type": "taxiroute",
        "priority": 1,
    },
    {"service": "eats", "part_name": "full_info", "priority": 2, "required": False},
]
POLICY = (
    PollingPolicy(
        "taxi", "route", "/4.0/taxiroute", ("taxiroute", "eta"), "route_distance_depended", "taxiroute", priority=1
    ),
    PollingPolicy("eats", "full_info", "", (), "", "", priority=2, required=False),
)
ACTIVE_JSON: list[dict[str, Any]] = [
    {
        "orderid": "order1",
        "status": "cooking",
        "parts": {"full_info": "3"},
        "details": {"dishes": ["soup"]},
        "sequence": 9,
    },
    {"orderid": "order2", "status": "new"},
]
ACTIVE = ActiveOrders(
    (
        ActiveOrder("order1", "cooking", {"full_info": "3"}, {"dishes": ["soup"]}, sequence=9),
        ActiveOrder("order2", "new", {}, {}),
    ),
    can_make_more_orders=False,
    no_more_orders_reason="closed",
)
OTHER: dict[str, Any] = {"some_field": ["some_value", 1, None]}
NO_WORD = {"can_make_more_orders": False, "no_more_orders_reason": "closed"}

CASES: dict[str, tuple[tuple[str, str, dict[str, Any]], Message, Message, object]] = {
    "a poll": (
        ("PassengerOrderStateClient", "poll_orders_state", {"known_orders": [KNOWN], "tags": {"eats": "opaque"}}),
        ParseDict({"known_orders": [KNOWN_JSON], "tags": {"eats": "opaque"}}, order_state.PollOrdersStateRequest()),
        ParseDict(
            {"orders": ORDERS_JSON, "allowed_changes": ALLOWED_JSON, "tags": {"eats": "next"}},
            order_state.PollOrdersStateResponse(),
        ),
        OrdersState((TAXI, EATS), ALLOWED, {"eats": "next"}),
    ),
    "a poll of an app that knows nothing": (
        ("PassengerOrderStateClient", "poll_orders_state", {}),
        order_state.PollOrdersStateRequest(),
        order_state.PollOrdersStateResponse(),
        OrdersState((), (), {}),
    ),
    "the state for launch": (
        (
            "OrderStateClient",
            "get_orders_state",
            {
                "yandex_uid": "uid",
                "supported_services": ["taxi", "eats"],
                "known_orders": [KNOWN],
                "upstreams": {
                    "eats": Upstream.of(ACTIVE),
                    "taxi": Upstream.of(None),
                    "grocery": Upstream.of(ActiveOrders((), can_make_more_orders=None, no_more_orders_reason=None)),
                },
            },
        ),
        ParseDict(
            {
                "yandex_uid": "uid",
                "supported_services": ["taxi", "eats"],
                "known_orders": [KNOWN_JSON],
                "upstreams": {
                    "eats": {"ok": True, "orders": ACTIVE_JSON} | NO_WORD,
                    "taxi": {"ok": False},
                    "grocery": {"ok": True},
                },
            },
            order_state.GetOrdersStateRequest(),
        ),
        ParseDict(
            {"orders": ORDERS_JSON, "allowed_changes": ALLOWED_JSON, "tags": {"e": "n"}, "polling_policy": POLICY_JSON},
            order_state.GetOrdersStateResponse(),
        ),
        OrdersStateAndPolicy((TAXI, EATS), ALLOWED, {"e": "n"}, POLICY),
    ),
    "the orders of one service": (
        ("OrderStateClient", "get_service_orders_state", {"service": "eats", "yandex_uid": "uid"}),
        order_state.GetServiceOrdersStateRequest(service="eats", yandex_uid="uid"),
        ParseDict({"orders": ACTIVE_JSON} | NO_WORD, order_state.GetServiceOrdersStateResponse()),
        ACTIVE,
    ),
    "a report of an end": (
        (
            "OrderStateClient",
            "report_order_parts",
            {"service": "eats", "orderid": "order1", "yandex_uid": "uid", "sequence": 3, "finished": False},
        ),
        order_state.ReportOrderPartsRequest(
            service="eats", orderid="order1", yandex_uid="uid", sequence=3, finished=False
        ),
        order_state.ReportOrderPartsResponse(changed=True),
        True,
    ),
    "a report of parts": (
        (
            "OrderStateClient",
            "report_order_parts",
            {"service": "eats", "orderid": "order1", "yandex_uid": "uid", "sequence": 3, "parts": {"full_info": "2"}},
        ),
        order_state.ReportOrderPartsRequest(
            service="eats", orderid="order1", yandex_uid="uid", sequence=3, parts={"full_info": "2"}
        ),
        order_state.ReportOrderPartsResponse(),
        False,
    ),
    "launch": (
        (
            "LaunchClient",
            "launch",
            {
                "supported_services": ["taxi"],
                "known_orders": [
                    KNOWN,
                    LaunchKnownOrder("order2", "eats", other=OTHER),
                ],
            },
        ),
        ParseDict(
            {
                "supported_services": ["taxi"],
                "known_orders": [
                    KNOWN_JSON,
                    {
                        "orderid": "order2",
                        "service": "eats",
                        "status": "",
                        "tags": {},
                        "force": False,
                        "some_field": ["some_value", 1, None],
                    },
                ],
            },
            api_proxy.LaunchRequest(),
        ),
        ParseDict(
            {
                "mlutp_orders_state": {
                    "tags": {"eats": "opaque"},
                    "orders": [ORDERS_JSON[0], ORDERS_JSON[1] | OTHER],
                    "allowed_changes": ALLOWED_JSON,
                    "polling_policy": POLICY_JSON,
                },
                "eulas": {"accepted": ["surge_il"]},
            },
            api_proxy.LaunchResponse(),
        ),
        Launch(
            MlutpOrdersState(
                tags={"eats": "opaque"},
                orders=(
                    LaunchOrder("order1", "taxi", "driving", TAXI.tags, TAXI.need_request, ACTUAL, {"seats": 4}),
                    LaunchOrder(
                        "order1", "eats", "cooking", {}, (), STALE, other={"some_field": ["some_value", 1, None]}
                    ),
                ),
                allowed_changes=ALLOWED,
                polling_policy=POLICY,
            ),
            LaunchEulas(("surge_il",)),
        ),
    ),
    "launch that tells nothing": (
        ("LaunchClient", "launch", {}),
        api_proxy.LaunchRequest(),
        api_proxy.LaunchResponse(),
        Launch(None, None),
    ),
    "launch of a rider who has nothing": (
        ("LaunchClient", "launch", {}),
        api_proxy.LaunchRequest(),
        ParseDict({"mlutp_orders_state": {}, "eulas": {}}, api_proxy.LaunchResponse()),
        Launch(MlutpOrdersState({}, (), (), ()), LaunchEulas(())),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_arguments_become_the_request_and_the_answer_becomes_python_values(
    server: ScriptedServer, flavour: Flavour, case: tuple[tuple[str, str, dict[str, Any]], Message, Message, object]
) -> None:
    (client, method, arguments), request, answer, result = case
    server.script(reply(answer))

    returned = await flavour.call(server.target, client, method, arguments | {"timeout": 10})

    assert server.received[0].request == request
    assert returned == result
    assert type(returned) is type(result)


NO_ORDERS: list[dict[str, Any]] = [
    {"update_status": "maybe"},
    {"orderid": 7, "update_status": "actual"},
    {"tags": [], "update_status": "actual"},
    {},
]


@pytest.mark.parametrize("order", NO_ORDERS, ids=str)
async def test_an_order_of_launch_that_cannot_be_read_is_an_error_of_the_service(
    server: ScriptedServer, flavour: Flavour, order: dict[str, Any]
) -> None:
    server.script(reply(ParseDict({"mlutp_orders_state": {"orders": [order]}}, api_proxy.LaunchResponse())))

    with pytest.raises(ServiceError) as raised:
        await flavour.call(server.target, "LaunchClient", "launch", {})

    assert raised.value.code is grpc.StatusCode.INTERNAL


async def test_an_update_status_that_the_contract_does_not_know_is_an_error_of_the_service(
    server: ScriptedServer, flavour: Flavour
) -> None:
    answer = ParseDict({"orders": [{"update_status": "maybe"}]}, order_state.PollOrdersStateResponse())
    server.script(reply(answer))

    with pytest.raises(ServiceError) as raised:
        await flavour.call(server.target, "PassengerOrderStateClient", "poll_orders_state", {})

    assert raised.value.code is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize("name", ["tags", "details", "need_request", "update_status"])
async def test_a_further_member_may_not_be_named_like_one_of_the_contract(
    server: ScriptedServer, flavour: Flavour, name: str
) -> None:
    order = LaunchKnownOrder("order1", "taxi", other={name: "mine"})

    with pytest.raises(ValueError, match=name):
        await flavour.call(server.target, "LaunchClient", "launch", {"known_orders": [order]})

    assert server.received == []


@pytest.mark.parametrize(
    ("client", "method"), [("LaunchClient", "launch"), ("PassengerOrderStateClient", "poll_orders_state")]
)
async def test_details_that_would_change_on_the_way_are_refused(
    server: ScriptedServer, flavour: Flavour, client: str, method: str
) -> None:
    with pytest.raises(ValueError, match="number"):
        await flavour.call(
            server.target, client, method, {"known_orders": [replace(KNOWN, details={"price": float("nan")})]}
        )

    assert server.received == []
