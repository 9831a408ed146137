"""Calls about a ride under way: its card, its banners, who may watch it."""

from __future__ import annotations

from ridehail_clients import (
    CardRoad,
    Promo,
    PromosOnTheWay,
    RideCard,
    RoadStatus,
    SharedRide,
    SharingFamily,
    SharingInfo,
    UserActions,
)
from tests.clients.cases.case import Case, Json, sent_as_given

BELT_JSON: Json = {"id": "belt", "title": "Fasten", "text": "", "image_url": ""}
_TOGGLE_JSON: Json = {"id": "share", "title": "Share", "text": "Now", "image_url": "https://example.com"}
_BELT = Promo("belt", "Fasten", "", "", is_selected=None)
_TOGGLE = Promo("share", "Share", "Now", "https://example.com", is_selected=False)
_TOGGLE_ON = Promo("share", "Share", "Now", "https://example.com", is_selected=True)
_CARD = "TaxiOnTheWayService/TaxiOnTheWay"
_ORDER = {"order_id": "order"}
_DRIVING = {"order_id": "order", "status": "driving"}
_ORDER_AND_KEY: Json = {"order_id": "order", "sharing_key": "key"}
_NO_ROAD = CardRoad(has_toll_road=False, can_switch_road=False)
_BOTH_ROADS = CardRoad(has_toll_road=True, can_switch_road=True)

_CARDS = [
    # Of a server that does not say how much it knows of the road.
    sent_as_given(_CARD, _ORDER, _DRIVING, RideCard("order", "driving", None, None, RoadStatus.UNKNOWN)),
    sent_as_given(
        _CARD, _ORDER, {**_DRIVING, "toll_road": {}}, RideCard("order", "driving", _NO_ROAD, None, RoadStatus.KNOWN)
    ),
    sent_as_given(
        _CARD,
        _ORDER,
        {**_DRIVING, "toll_road_status": "unknown"},
        RideCard("order", "driving", None, None, RoadStatus.UNKNOWN),
    ),
    Case(
        _CARD,
        {**_ORDER, "user_actions": UserActions()},
        {**_ORDER, "user_actions": {}},
        {**_DRIVING, "promos": [], "toll_road_status": "none"},
        RideCard("order", "driving", None, (), RoadStatus.NONE),
    ),
    *(
        Case(
            _CARD,
            {**_ORDER, "user_actions": UserActions(share_ride_with_family=on)},
            {**_ORDER, "user_actions": {"share_ride_with_family": {"value": on}}},
            {
                **_DRIVING,
                "toll_road": {"has_toll_road": True, "can_switch_road": True},
                "toll_road_status": "known",
                "promos": [{**BELT_JSON, "of_a_later_release": 1}, {**_TOGGLE_JSON, "is_selected": on}],
            },
            RideCard("order", "driving", _BOTH_ROADS, (_BELT, _TOGGLE_ON if on else _TOGGLE), RoadStatus.KNOWN),
        )
        for on in (True, False)
    ),
]

CASES = [
    *_CARDS,
    *(
        Case(
            "InappCommunicationsService/PromosOnTheWay",
            {**_ORDER_AND_KEY, "share_ride_with_family": on, "family_role": "user", "locale": "he"},
            {**_ORDER_AND_KEY, "share_ride_with_family": {"value": on}, "family_role": "user", "locale": "he"},
            {"promos": [BELT_JSON, {**_TOGGLE_JSON, "is_selected": on}], "banner_set": "family"},
            PromosOnTheWay((_BELT, _TOGGLE_ON if on else _TOGGLE), "family"),
        )
        for on in (True, False)
    ),
    sent_as_given("InappCommunicationsService/PromosOnTheWay", _ORDER, {}, PromosOnTheWay((), "")),
    *(
        Case(
            "RouteSharingService/ShareWithFamily",
            {**_ORDER_AND_KEY, "share_ride_with_family": on, "yandex_uid": "400"},
            {**_ORDER_AND_KEY, "share_ride_with_family": {"value": on}, "yandex_uid": "400"},
        )
        for on in (True, False)
    ),
    sent_as_given(
        "RouteSharingService/GetSharingInfo",
        {"sharing_key": "key"},
        {"phone_ids": ["a", "b"], "family": {"admin_name": "Ann", "admin_uid": str(2**62), "sharing_on": True}},
        SharingInfo(("a", "b"), SharingFamily("Ann", 2**62, sharing_on=True)),
    ),
    sent_as_given("RouteSharingService/GetSharingInfo", {"sharing_key": "key"}, {}, SharingInfo((), None)),
    sent_as_given(
        "RouteSharingService/GetSharingInfo",
        {"sharing_key": "key"},
        {"family_unknown": True},
        SharingInfo((), None, family_unknown=True),
    ),
    Case(
        "RouteSharingService/EnqueueInsertOrder",
        {**_ORDER_AND_KEY, "phone_ids": ("a", "b"), "yandex_uid": "400"},
        {**_ORDER_AND_KEY, "phone_ids": ["a", "b"], "yandex_uid": "400"},
    ),
    sent_as_given("RouteSharingService/EnqueueInsertOrder", _ORDER_AND_KEY),
    sent_as_given(
        "PassengerRouteSharingService/GetInfo",
        {"sharing_key": "key"},
        {"order_id": "order", "popup_title": "Title"},
        SharedRide("order", "Title"),
    ),
]
