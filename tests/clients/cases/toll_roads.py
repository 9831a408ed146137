"""Calls of toll roads."""

from __future__ import annotations

from datetime import timedelta, timezone

from ridehail_clients import OrderRoad, OrderRoads
from tests.clients.cases.case import NOON, NOON_TEXT, Case, sent_as_given

_ORDER = {"order_id": "order"}
_BOTH_NO = {"can_switch_road": False, "user_chose_toll_road": False}
_WHOLE_SAVE = {
    "order_id": "order",
    "offer_id": "offer",
    "can_switch_road": True,
    "user_chose_toll_road": True,
    "yandex_uid": "uid",
}
_TOLL = OrderRoad(order_id="order", has_toll_road=True, can_switch_road=False, created=NOON)

CASES = [
    sent_as_given("TollRoadsService/SaveOffer", {"offer_id": "offer"}, result=True),
    sent_as_given(
        "TollRoadsService/RetrieveOrder", _ORDER, {"has_toll_road": True, "created": NOON_TEXT}, result=_TOLL
    ),
    sent_as_given(
        "TollRoadsService/RetrieveOrder",
        _ORDER,
        {"can_switch_road": True},
        result=OrderRoad(order_id="order", has_toll_road=False, can_switch_road=True, created=None),
    ),
    Case(
        "TollRoadsService/BatchRetrieveOrders",
        {"order_ids": ("order", "second")},
        {"order_ids": ["order", "second"]},
        {
            "orders": [
                {"order_id": "order", "has_toll_road": True, "created": NOON_TEXT},
                {"order_id": "third", "can_switch_road": True},
            ],
            "missing_order_ids": ["second"],
        },
        OrderRoads(
            orders=(_TOLL, OrderRoad(order_id="third", has_toll_road=False, can_switch_road=True, created=None)),
            missing_order_ids=("second",),
        ),
    ),
    Case(
        "TollRoadsService/EnqueueOrderSave",
        {**_WHOLE_SAVE, "created": NOON.astimezone(timezone(timedelta(hours=3)))},
        {**_WHOLE_SAVE, "created": NOON_TEXT},
    ),
    Case(
        "TollRoadsService/EnqueueOrderSave",
        {**_ORDER, **_BOTH_NO, "created": NOON},
        {**_ORDER, **_BOTH_NO, "created": NOON_TEXT},
    ),
    Case(
        "PassengerTollRoadsService/SwitchRoad",
        {**_ORDER, "has_toll_road": True, "created": NOON},
        {**_ORDER, "has_toll_road": True, "created": NOON_TEXT},
    ),
]
