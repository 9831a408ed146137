"""Calls of the services that keep orders."""

from __future__ import annotations

from ridehail_clients import ActiveOrder, ActiveOrders, OrderFields, OrderInfo, OrderInfos
from tests.clients.cases.case import Case, Json, sent_as_given

_UID = {"yandex_uid": "uid"}
_DOCUMENT = {"order": {"tags": ["a", None, 1.5], "paid": False}}
_PUT: Json = {
    "orderid": "order",
    "yandex_uid": "uid",
    "status": "cooking",
    "parts": {"full_info": "7"},
    "details": {"dishes": [3, None], "hot": True},
    "finished": True,
}
_LISTED: Json = {
    "orders": [
        {
            "orderid": "order",
            "status": "cooking",
            "parts": {"full_info": "7"},
            "details": {"dishes": [3, None]},
            "sequence": 9,
        },
        {"orderid": "bare"},
    ],
    "can_make_more_orders": True,
    "no_more_orders_reason": "too many",
}
_ORDERS = (
    ActiveOrder("order", "cooking", {"full_info": "7"}, {"dishes": [3, None]}, 9),
    ActiveOrder("bare", "", {}, {}, 0),
)
# Orders under way look the same whoever keeps them.
_LISTS = [
    case
    for service in ("OrderCoreService", "OrderProviderService")
    for case in (
        sent_as_given(
            f"{service}/ListActiveOrders",
            _UID,
            _LISTED,
            ActiveOrders(orders=_ORDERS, can_make_more_orders=True, no_more_orders_reason="too many"),
        ),
        sent_as_given(
            f"{service}/ListActiveOrders",
            _UID,
            {"can_make_more_orders": False},
            ActiveOrders(orders=(), can_make_more_orders=False, no_more_orders_reason=None),
        ),
        sent_as_given(
            f"{service}/ListActiveOrders",
            _UID,
            {},
            ActiveOrders(orders=(), can_make_more_orders=None, no_more_orders_reason=None),
        ),
    )
]

CASES = [
    *_LISTS,
    sent_as_given(
        "OrderCoreService/PutOrder",
        {"order_id": "order", "yandex_uid": "uid", "document": _DOCUMENT},
        {"version": 3},
        result=3,
    ),
    sent_as_given(
        "OrderCoreService/GetOrderFields",
        {"order_id": "order", "fields": ["order.price", "order.stops"]},
        {"fields": {"order": {"price": 120, "stops": [{"lat": 55.5}, []]}}, "version": 4},
        result=OrderFields(fields={"order": {"price": 120, "stops": [{"lat": 55.5}, []]}}, version=4),
    ),
    sent_as_given(
        "OrderCoreService/SetOrderFields",
        {
            "order_id": "order",
            "expected_version": 0,
            "set": {"order.status": "driving", "order.price": {"value": 120}},
            "unset": ["order.offer"],
            "push": {"changes.objects": [{"id": 1}, "two"]},
            "increment": {"order.version": 2},
            "call_processing": True,
        },
        {"version": 6},
        result=6,
    ),
    sent_as_given(
        "OrderCoreService/SetOrderFields", {"order_id": "order", "call_processing": True}, {"version": 7}, result=7
    ),
    sent_as_given(
        "OrderCoreService/GetOrderInfo",
        {"order_id": "order"},
        {"order_id": "order", "yandex_uid": "uid", "status": "driving", "sharing_key": "key"},
        result=OrderInfo(order_id="order", yandex_uid="uid", status="driving", sharing_key="key"),
    ),
    sent_as_given(
        "OrderCoreService/BatchGetOrderInfo",
        {"order_ids": ["order", "none"]},
        {
            "orders": [{"order_id": "order", "yandex_uid": "uid", "status": "driving", "sharing_key": "key"}],
            "missing_order_ids": ["none"],
        },
        result=OrderInfos(
            orders=(OrderInfo(order_id="order", yandex_uid="uid", status="driving", sharing_key="key"),),
            missing_order_ids=("none",),
        ),
    ),
    Case(
        "OrderProviderService/PutOrder",
        {**_PUT, "details": {"dishes": (3, None), "hot": True}},
        _PUT,
        {"sequence": 9},
        9,
    ),
    Case(
        "OrderProviderService/PutOrder",
        {"orderid": "order", "yandex_uid": "uid", "status": "cooking"},
        {"orderid": "order", "yandex_uid": "uid", "status": "cooking", "finished": False},
        {"sequence": 1},
        1,
    ),
]
