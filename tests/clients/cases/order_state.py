"""Calls about what an app should fetch: of order_state, and of api_proxy at the start of an app."""

from __future__ import annotations

from ridehail_clients import (
    ActiveOrder,
    ActiveOrders,
    AllowedChanges,
    InvalidPart,
    InvalidPartsReceipt,
    JsonType,
    KnownOrder,
    Launch,
    LaunchEulas,
    LaunchKnownOrder,
    LaunchOrder,
    MlutpOrdersState,
    OrdersState,
    OrdersStateAndPolicy,
    OrderState,
    PartProblem,
    PollingPolicy,
    PollingSchedule,
    ShapeEntry,
    UpdateStatus,
    Upstream,
)
from tests.clients.cases.case import Case, Json, sent_as_given

_ACTUAL, _STALE = UpdateStatus.ACTUAL, UpdateStatus.STALE
KNOWN = KnownOrder(
    "order1", "taxi", "driving", tags={"fast_info": "7"}, force=True, details={"car": {"seats": 4}, "free": None}
)
_KNOWN_JSON: Json = {
    "orderid": "order1",
    "service": "taxi",
    "status": "driving",
    "tags": {"fast_info": "7"},
    "force": True,
    "details": {"car": {"seats": 4}, "free": None},
}
_TAXI_JSON: Json = {
    "orderid": "order1",
    "service": "taxi",
    "status": "driving",
    "tags": {"fast_info": "8", "part2": "1"},
    "need_request": ["part2", "fast_info"],
    "update_status": "actual",
    "details": {"seats": 4},
}
_EATS_JSON: Json = {"orderid": "order1", "service": "eats", "status": "cooking", "update_status": "stale"}
_TAXI = OrderState(
    "order1", "taxi", "driving", {"fast_info": "8", "part2": "1"}, ("part2", "fast_info"), _ACTUAL, {"seats": 4}
)
_EATS = OrderState("order1", "eats", "cooking", {}, (), _STALE, None)
_ALLOWED_JSON: list[Json] = [
    {"service": "taxi", "can_make_more_orders": True},
    {"service": "eats", "no_more_orders_reason": "too_many_orders"},
]
_ALLOWED = (
    AllowedChanges("taxi", can_make_more_orders=True),
    AllowedChanges("eats", can_make_more_orders=False, no_more_orders_reason="too_many_orders"),
)
_POLICY_JSON: list[Json] = [
    {
        "service": "taxi",
        "part_name": "route",
        "url": "/4.0/taxiroute",
        "fields": ["taxiroute", "eta"],
        "polling_type": "route_distance_depended",
        "part_type": "taxiroute",
        "priority": 1,
    },
    {"service": "taxi", "part_name": "fast_info", "priority": 3, "required": True},
    {"service": "eats", "part_name": "full_info", "priority": 2, "required": False},
]
_POLICY = (
    PollingPolicy(
        "taxi", "route", "/4.0/taxiroute", ("taxiroute", "eta"), "route_distance_depended", "taxiroute", priority=1
    ),
    PollingPolicy("taxi", "fast_info", "", (), "", "", priority=3, required=True),
    PollingPolicy("eats", "full_info", "", (), "", "", priority=2, required=False),
)
_SCHEDULE_JSON: Json = {"interval_ms": 10_000, "next_poll_ms": 7_312, "longest_pause_ms": 300_000}
_SCHEDULE = PollingSchedule(10_000, 7_312, 300_000)
_ACTIVE_JSON: list[Json] = [
    {
        "orderid": "order1",
        "status": "cooking",
        "parts": {"full_info": "3"},
        "details": {"dishes": ["soup"]},
        "sequence": 9,
    },
    {"orderid": "order2", "status": "new"},
]
_ORDERS = (
    ActiveOrder("order1", "cooking", {"full_info": "3"}, {"dishes": ["soup"]}, sequence=9),
    ActiveOrder("order2", "new", {}, {}),
)
_NO_MORE = ActiveOrders(_ORDERS, can_make_more_orders=False, no_more_orders_reason="closed")
_NO_MORE_JSON: Json = {"orders": _ACTIVE_JSON, "can_make_more_orders": False, "no_more_orders_reason": "closed"}
_MORE = ActiveOrders((), can_make_more_orders=True, no_more_orders_reason=None)
_NO_WORD = ActiveOrders((), can_make_more_orders=None, no_more_orders_reason=None)
_OTHER: Json = {"some_field": ["some_value", 1, None]}
_REPORT: Json = {"service": "eats", "orderid": "order1", "yandex_uid": "uid", "sequence": 3}
_GET_SERVICE = "OrderStateService/GetServiceOrdersState"
_EATS_OF_RIDER: Json = {"service": "eats", "yandex_uid": "uid"}

_POLLS = [
    Case(
        "PassengerOrderStateService/PollOrdersState",
        {"known_orders": [KNOWN], "tags": {"eats": "opaque"}},
        {"known_orders": [_KNOWN_JSON], "tags": {"eats": "opaque"}},
        {
            "orders": [_TAXI_JSON, _EATS_JSON],
            "allowed_changes": _ALLOWED_JSON,
            "tags": {"eats": "next"},
            "polling_schedule": _SCHEDULE_JSON,
        },
        OrdersState((_TAXI, _EATS), _ALLOWED, {"eats": "next"}, _SCHEDULE),
    ),
    sent_as_given("PassengerOrderStateService/PollOrdersState", {}, {}, OrdersState((), (), {})),
    Case(
        "PassengerOrderStateService/PollOrdersState",
        {},
        {},
        {"polling_schedule": {"interval_ms": 10_000, "longest_pause_ms": 300_000}},
        OrdersState((), (), {}, PollingSchedule(10_000, None, 300_000)),
    ),
    Case(
        "PassengerOrderStateService/ReportInvalidParts",
        {
            "parts": [
                InvalidPart("taxi", "fast_info", PartProblem.MISSING, 3, (ShapeEntry("$.car", JsonType.NULL),)),
                InvalidPart("eats", "full_info", PartProblem.UNREADABLE, 1),
            ]
        },
        {
            "parts": [
                {
                    "service": "taxi",
                    "part_name": "fast_info",
                    "problem": "missing",
                    "count": 3,
                    "shape": [{"path": "$.car", "type": "null"}],
                },
                {"service": "eats", "part_name": "full_info", "problem": "unreadable", "count": 1},
            ]
        },
        {"recorded": True, "next_report_ms": 300_000},
        InvalidPartsReceipt(recorded=True, next_report_ms=300_000),
    ),
    Case(
        "OrderStateService/GetOrdersState",
        {
            "yandex_uid": "uid",
            "supported_services": ["taxi", "eats"],
            "known_orders": [KNOWN],
            "upstreams": {
                "eats": Upstream.of(_NO_MORE),
                "taxi": Upstream.of(None),
                "grocery": Upstream.of(_NO_WORD),
                "pharmacy": Upstream.of(_MORE),
            },
        },
        {
            "yandex_uid": "uid",
            "supported_services": ["taxi", "eats"],
            "known_orders": [_KNOWN_JSON],
            "upstreams": {
                "eats": {"ok": True, **_NO_MORE_JSON},
                "taxi": {"ok": False},
                "grocery": {"ok": True},
                "pharmacy": {"ok": True, "can_make_more_orders": True},
            },
        },
        {
            "orders": [_TAXI_JSON, _EATS_JSON],
            "allowed_changes": _ALLOWED_JSON,
            "tags": {"eats": "next"},
            "polling_policy": _POLICY_JSON,
            "polling_schedule": _SCHEDULE_JSON,
        },
        OrdersStateAndPolicy((_TAXI, _EATS), _ALLOWED, {"eats": "next"}, _POLICY, _SCHEDULE),
    ),
    sent_as_given(_GET_SERVICE, _EATS_OF_RIDER, _NO_MORE_JSON, _NO_MORE),
    sent_as_given(_GET_SERVICE, _EATS_OF_RIDER, {"can_make_more_orders": True}, _MORE),
    sent_as_given(_GET_SERVICE, _EATS_OF_RIDER, {}, _NO_WORD),
    *(
        sent_as_given(
            "OrderStateService/ReportOrderParts", {**_REPORT, "finished": finished}, {"changed": True}, result=True
        )
        for finished in (True, False)
    ),
    sent_as_given("OrderStateService/ReportOrderParts", {**_REPORT, "parts": {"full_info": "2"}}, {}, result=False),
]

_LAUNCHES = [
    Case(
        "LaunchService/Launch",
        {"supported_services": ["taxi"], "known_orders": [KNOWN, LaunchKnownOrder("order2", "eats", other=_OTHER)]},
        {
            "supported_services": ["taxi"],
            "known_orders": [
                _KNOWN_JSON,
                {"orderid": "order2", "service": "eats", "status": "", "tags": {}, "force": False, **_OTHER},
            ],
        },
        {
            "mlutp_orders_state": {
                "tags": {"eats": "opaque"},
                "orders": [_TAXI_JSON, {**_EATS_JSON, **_OTHER}],
                "allowed_changes": _ALLOWED_JSON,
                "polling_policy": _POLICY_JSON,
                "polling_schedule": _SCHEDULE_JSON,
            },
            "eulas": {"accepted": ["surge_il"]},
        },
        Launch(
            MlutpOrdersState(
                tags={"eats": "opaque"},
                orders=(
                    LaunchOrder("order1", "taxi", "driving", _TAXI.tags, _TAXI.need_request, _ACTUAL, {"seats": 4}),
                    LaunchOrder("order1", "eats", "cooking", {}, (), _STALE, other=_OTHER),
                ),
                allowed_changes=_ALLOWED,
                polling_policy=_POLICY,
                polling_schedule=_SCHEDULE,
            ),
            LaunchEulas(("surge_il",)),
        ),
    ),
    sent_as_given("LaunchService/Launch", {}, {}, Launch(None, None)),
    sent_as_given(
        "LaunchService/Launch",
        {},
        {"mlutp_orders_state": {}, "eulas": {}},
        Launch(MlutpOrdersState({}, (), (), ()), LaunchEulas(())),
    ),
]

CASES = [*_POLLS, *_LAUNCHES]
