from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.family.v1 import family_api_pb2 as family
from ridehail.inapp.v1 import inapp_api_pb2 as inapp
from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.protocol.v1 import protocol_api_pb2 as protocol
from ridehail.routesharing.v1 import route_sharing_api_pb2 as route_sharing
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail_clients import (
    ActiveOrder,
    ActiveOrders,
    CardRoad,
    ComparedKind,
    Eula,
    EulaDecision,
    EulaFilter,
    EulaState,
    EulaStatus,
    Family,
    FamilyAdmin,
    FamilyMember,
    HiddenTariff,
    JsonInput,
    JsonValue,
    OrderFields,
    OrderInfo,
    OrderRoad,
    OrderRoads,
    PersonalState,
    PersonalStateCopy,
    Promo,
    PromosOnTheWay,
    RideCard,
    RoadStatus,
    RouteStats,
    ServiceError,
    SharedRide,
    SharingFamily,
    SharingInfo,
    TariffSettings,
    UserActions,
    ZoneInfo,
)
from ridehail_clients._messages.fields import from_timestamp, to_timestamp
from ridehail_clients.json_values import from_struct, to_struct
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer, reply

MOSCOW = timezone(timedelta(hours=3))
NOON = datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)
NOON_TEXT = "2026-03-04T12:00:00.123456Z"
SURGE_JSON = {
    "eula_id": "surge_il",
    "type": "surge",
    "status": "accepted",
    "title": "Surge",
    "text": "Fares may rise.",
    "url": "https://example.com/surge",
    "rejectable": True,
    "valid_till": "2027-03-04T12:00:00Z",
    "updated_at": NOON_TEXT,
}
SURGE = Eula(
    eula_id="surge_il",
    type="surge",
    status=EulaState.ACCEPTED,
    title="Surge",
    text="Fares may rise.",
    url="https://example.com/surge",
    rejectable=True,
    valid_till=datetime(2027, 3, 4, 12, tzinfo=UTC),
    updated_at=NOON,
)
UNANSWERED = Eula("belts", "", EulaState.UNKNOWN, "", "", "", rejectable=False, valid_till=None, updated_at=None)
BOTH_JSON: list[dict[str, object]] = [SURGE_JSON, {"eula_id": "belts", "status": "unknown"}]
ANSWERS = [EulaDecision("surge_il", EulaState.REJECTED), EulaDecision("surge_il", EulaState.ACCEPTED)]
ANSWERS_JSON = [{"eula_id": "surge_il", "status": "rejected"}, {"eula_id": "surge_il", "status": "accepted"}]

BELT_JSON = {"id": "belt", "title": "Fasten", "text": "", "image_url": "", "of_a_later_release": 1}
TOGGLE_JSON = {"id": "share", "title": "Share", "text": "Now", "image_url": "https://example.com", "is_selected": False}
BELT = Promo("belt", "Fasten", "", "", is_selected=None)
TOGGLE = Promo("share", "Share", "Now", "https://example.com", is_selected=False)

Road = tuple[CardRoad | None, RoadStatus]
# What the rider did, how that is sent, what is answered, and what that means.
CARDS: list[tuple[UserActions | None, dict[str, Any], dict[str, Any], Road, tuple[Promo, ...] | None]] = [
    (None, {}, {}, (None, RoadStatus.UNKNOWN), None),  # of a server that does not say
    (None, {}, {"toll_road": {}}, (CardRoad(has_toll_road=False, can_switch_road=False), RoadStatus.KNOWN), None),
    (None, {}, {"toll_road_status": "unknown"}, (None, RoadStatus.UNKNOWN), None),
    (
        UserActions(),
        {"user_actions": {}},
        {"promos": [], "toll_road_status": "none"},
        (None, RoadStatus.NONE),
        (),
    ),
    (
        UserActions(share_ride_with_family=False),
        {"user_actions": {"share_ride_with_family": {"value": False}}},
        {
            "toll_road": {"has_toll_road": False, "can_switch_road": True},
            "toll_road_status": "known",
            "promos": [BELT_JSON, TOGGLE_JSON],
        },
        (CardRoad(has_toll_road=False, can_switch_road=True), RoadStatus.KNOWN),
        (BELT, TOGGLE),
    ),
]


SETTINGS = (TariffSettings("econom", {"nosmoking": True, "seats": [1, 2.5]}), TariffSettings("vip", {}))
SETTINGS_JSON = [
    {"category": "econom", "requirements": {"nosmoking": True, "seats": [1, 2.5]}},
    {"category": "vip", "requirements": {}},
]
STATE_JSON: dict[str, object] = {"revision_id": "7", "selected_category": "econom", "tariffs": SETTINGS_JSON}
BOTH_NO = {"can_switch_road": False, "user_chose_toll_road": False}
COPY = PersonalStateCopy("uid", "7", "econom", SETTINGS)
COPY_JSON = {"yandex_uid": "uid", **STATE_JSON}


def personal_state(**fields: Any) -> PersonalState:
    """The state of the examples; what equality does not look at has a test of its own."""
    return PersonalState(
        **{"revision_id": "7", "selected_category": "econom", "tariffs": SETTINGS, "body": {}, **fields}
    )


@dataclass(frozen=True)
class Case:
    """A call as Python and as the wire see it."""

    client: str
    method: str
    arguments: dict[str, Any]
    request: Message
    answer: Message
    result: object


CASES = [
    Case(
        "TollRoadsClient",
        "save_offer",
        {"offer_id": "offer"},
        toll_roads.SaveOfferRequest(offer_id="offer"),
        toll_roads.SaveOfferResponse(),
        True,
    ),
    Case(
        "TollRoadsClient",
        "retrieve_order",
        {"order_id": "order"},
        toll_roads.RetrieveOrderRequest(order_id="order"),
        ParseDict({"has_toll_road": True, "created": NOON_TEXT}, toll_roads.RetrieveOrderResponse()),
        OrderRoad(order_id="order", has_toll_road=True, can_switch_road=False, created=NOON),
    ),
    Case(
        "TollRoadsClient",
        "retrieve_order",
        {"order_id": "order"},
        toll_roads.RetrieveOrderRequest(order_id="order"),
        toll_roads.RetrieveOrderResponse(can_switch_road=True),
        OrderRoad(order_id="order", has_toll_road=False, can_switch_road=True, created=None),
    ),
    Case(
        "TollRoadsClient",
        "batch_retrieve_orders",
        {"order_ids": ("first", "second")},
        toll_roads.BatchRetrieveOrdersRequest(order_ids=["first", "second"]),
        ParseDict(
            {
                "orders": [{"order_id": "first", "has_toll_road": True, "created": NOON_TEXT}],
                "missing_order_ids": ["second"],
            },
            toll_roads.BatchRetrieveOrdersResponse(),
        ),
        OrderRoads(
            orders=(OrderRoad(order_id="first", has_toll_road=True, can_switch_road=False, created=NOON),),
            missing_order_ids=("second",),
        ),
    ),
    Case(
        "TollRoadsClient",
        "enqueue_order_save",
        {
            "order_id": "order",
            "created": NOON.astimezone(MOSCOW),
            "offer_id": "offer",
            "can_switch_road": True,
            "user_chose_toll_road": True,
            "yandex_uid": "uid",
        },
        ParseDict(
            {
                "order_id": "order",
                "created": NOON_TEXT,
                "offer_id": "offer",
                "can_switch_road": True,
                "user_chose_toll_road": True,
                "yandex_uid": "uid",
            },
            toll_roads.EnqueueOrderSaveRequest(),
        ),
        toll_roads.EnqueueOrderSaveResponse(),
        None,
    ),
    Case(
        "TollRoadsClient",
        "enqueue_order_save",
        {"order_id": "order", "created": NOON} | BOTH_NO,
        ParseDict({"order_id": "order", "created": NOON_TEXT} | BOTH_NO, toll_roads.EnqueueOrderSaveRequest()),
        toll_roads.EnqueueOrderSaveResponse(),
        None,
    ),
    Case(
        "PassengerTollRoadsClient",
        "switch_road",
        {"order_id": "order", "has_toll_road": True, "created": NOON},
        ParseDict({"order_id": "order", "has_toll_road": True, "created": NOON_TEXT}, toll_roads.SwitchRoadRequest()),
        toll_roads.SwitchRoadResponse(),
        None,
    ),
    Case(
        "OrderCoreClient",
        "put_order",
        {"order_id": "order", "yandex_uid": "uid", "document": {"order": {"tags": ["a", None, 1.5], "paid": False}}},
        ParseDict(
            {
                "order_id": "order",
                "yandex_uid": "uid",
                "document": {"order": {"tags": ["a", None, 1.5], "paid": False}},
            },
            order_core.PutOrderRequest(),
        ),
        order_core.PutOrderResponse(version=3),
        3,
    ),
    Case(
        "OrderCoreClient",
        "get_order_fields",
        {"order_id": "order", "fields": ["order.price", "order.stops"]},
        order_core.GetOrderFieldsRequest(order_id="order", fields=["order.price", "order.stops"]),
        ParseDict(
            {"fields": {"order": {"price": 120, "stops": [{"lat": 55.5}, []]}}, "version": 4},
            order_core.GetOrderFieldsResponse(),
        ),
        OrderFields(fields={"order": {"price": 120, "stops": [{"lat": 55.5}, []]}}, version=4),
    ),
    Case(
        "OrderCoreClient",
        "set_order_fields",
        {
            "order_id": "order",
            "expected_version": 0,
            "set": {"order.status": "driving", "order.price": {"value": 120}},
            "unset": ["order.offer"],
            "push": {"changes.objects": [{"id": 1}, "two"]},
            "increment": {"order.version": 2},
            "call_processing": True,
        },
        ParseDict(
            {
                "order_id": "order",
                "expected_version": 0,
                "set": {"order.status": "driving", "order.price": {"value": 120}},
                "unset": ["order.offer"],
                "push": {"changes.objects": [{"id": 1}, "two"]},
                "increment": {"order.version": 2},
                "call_processing": True,
            },
            order_core.SetOrderFieldsRequest(),
        ),
        order_core.SetOrderFieldsResponse(version=6),
        6,
    ),
    Case(
        "OrderCoreClient",
        "set_order_fields",
        {"order_id": "order", "call_processing": True},
        order_core.SetOrderFieldsRequest(order_id="order", call_processing=True),
        order_core.SetOrderFieldsResponse(version=7),
        7,
    ),
    Case(
        "OrderCoreClient",
        "get_order_info",
        {"order_id": "order"},
        order_core.GetOrderInfoRequest(order_id="order"),
        order_core.GetOrderInfoResponse(order_id="order", yandex_uid="uid", status="driving", sharing_key="key"),
        OrderInfo(order_id="order", yandex_uid="uid", status="driving", sharing_key="key"),
    ),
    Case(
        "OrderCoreClient",
        "list_active_orders",
        {"yandex_uid": "uid"},
        order_core.ListActiveOrdersRequest(yandex_uid="uid"),
        ParseDict(
            {
                "orders": [{"orderid": "order", "status": "driving", "parts": {"route": "7"}, "details": {"eta": 5}}],
                "can_make_more_orders": False,
                "no_more_orders_reason": "too many",
            },
            order_core.ListActiveOrdersResponse(),
        ),
        ActiveOrders(
            orders=(ActiveOrder(orderid="order", status="driving", parts={"route": "7"}, details={"eta": 5}),),
            can_make_more_orders=False,
            no_more_orders_reason="too many",
        ),
    ),
    Case(
        "OrderCoreClient",
        "list_active_orders",
        {"yandex_uid": "uid"},
        order_core.ListActiveOrdersRequest(yandex_uid="uid"),
        order_core.ListActiveOrdersResponse(),
        ActiveOrders(orders=(), can_make_more_orders=None, no_more_orders_reason=None),
    ),
    Case(
        "EulasClient",
        "list_eulas",
        {
            "yandex_uid": "uid",
            "filter": EulaFilter.ALL,
            "zone_name": "tel_aviv",
            "country": "isr",
            "tariffs": ("econom", "vip"),
            "locale": "he",
        },
        ParseDict(
            {
                "yandex_uid": "uid",
                "filter": "all",
                "zone_name": "tel_aviv",
                "country": "isr",
                "tariffs": ["econom", "vip"],
                "locale": "he",
            },
            eulas.ListEulasRequest(),
        ),
        ParseDict({"eulas": BOTH_JSON}, eulas.ListEulasResponse()),
        (SURGE, UNANSWERED),
    ),
    Case(
        "EulasClient",
        "list_eulas",
        {"yandex_uid": "uid", "filter": EulaFilter.SIGNED},
        eulas.ListEulasRequest(yandex_uid="uid", filter="signed"),
        eulas.ListEulasResponse(),
        (),
    ),
    Case(
        "EulasClient",
        "save_eulas",
        {"yandex_uid": "uid", "eulas": ANSWERS},
        ParseDict({"yandex_uid": "uid", "eulas": ANSWERS_JSON}, eulas.SaveEulasRequest()),
        eulas.SaveEulasResponse(refresh=["routestats"]),
        ("routestats",),
    ),
    Case(
        "EulasClient",
        "check_eulas",
        {"yandex_uid": "uid", "eula_ids": ["surge_il"]},
        eulas.CheckEulasRequest(yandex_uid="uid", eula_ids=["surge_il"]),
        ParseDict(
            {"eulas": [{"eula_id": "surge_il", "type": "surge", "status": "rejected"}]}, eulas.CheckEulasResponse()
        ),
        (EulaStatus("surge_il", "surge", EulaState.REJECTED),),
    ),
    Case(
        "EulasClient",
        "check_eulas",
        {"yandex_uid": "uid", "eula_types": ["surge"], "zone_name": "tel_aviv"},
        eulas.CheckEulasRequest(yandex_uid="uid", eula_types=["surge"], zone_name="tel_aviv"),
        ParseDict({"eulas": [{"type": "surge", "status": "unknown"}]}, eulas.CheckEulasResponse()),
        (EulaStatus("", "surge", EulaState.UNKNOWN),),
    ),
    Case(
        "PassengerEulasClient",
        "list_eulas",
        {"filter": EulaFilter.UNKNOWN, "zone_name": "tel_aviv", "country": "isr", "tariffs": ["econom"]},
        eulas.PassengerEulasServiceListEulasRequest(
            filter="unknown", zone_name="tel_aviv", country="isr", tariffs=["econom"]
        ),
        ParseDict({"eulas": BOTH_JSON}, eulas.PassengerEulasServiceListEulasResponse()),
        (SURGE, UNANSWERED),
    ),
    Case(
        "PassengerEulasClient",
        "save_eulas",
        {"eulas": ANSWERS},
        ParseDict({"eulas": ANSWERS_JSON}, eulas.PassengerEulasServiceSaveEulasRequest()),
        eulas.PassengerEulasServiceSaveEulasResponse(),
        (),
    ),
    Case(
        "RoutestatsClient",
        "get_route_stats",
        {"zone_name": "tel_aviv", "tariffs": ["econom", "surge"]},
        api_proxy.GetRouteStatsRequest(zone_name="tel_aviv", tariffs=["econom", "surge"]),
        ParseDict(
            {"tariffs": ["econom"], "hidden": [{"tariff": "surge", "reason": "eula_unknown"}]},
            api_proxy.GetRouteStatsResponse(),
        ),
        RouteStats(tariffs=("econom",), hidden=(HiddenTariff("surge", "eula_unknown"),)),
    ),
    Case(
        "ZoneInfoClient",
        "get_zone_info",
        {"zone_name": "tel_aviv"},
        api_proxy.GetZoneInfoRequest(zone_name="tel_aviv"),
        ParseDict(
            {"need_acceptance": [SURGE_JSON | {"of_a_later_release": 1}, BOTH_JSON[1]]}, api_proxy.GetZoneInfoResponse()
        ),
        ZoneInfo(need_acceptance=(SURGE, UNANSWERED)),
    ),
    Case(
        "ZoneInfoClient",
        "get_zone_info",
        {"zone_name": "tel_aviv"},
        api_proxy.GetZoneInfoRequest(zone_name="tel_aviv"),
        ParseDict({"need_acceptance": []}, api_proxy.GetZoneInfoResponse()),
        ZoneInfo(need_acceptance=()),
    ),
    Case(
        "ZoneInfoClient",
        "get_zone_info",
        {"zone_name": "tel_aviv"},
        api_proxy.GetZoneInfoRequest(zone_name="tel_aviv"),
        api_proxy.GetZoneInfoResponse(),
        ZoneInfo(need_acceptance=None),
    ),
    *(
        Case(
            "TaxiOnTheWayClient",
            "taxi_on_the_way",
            {"order_id": "order", "user_actions": actions},
            ParseDict({"order_id": "order", **sent}, api_proxy.TaxiOnTheWayRequest()),
            ParseDict({"order_id": "order", "status": "driving", **told}, api_proxy.TaxiOnTheWayResponse()),
            RideCard("order", "driving", road[0], promos, road[1]),
        )
        for actions, sent, told, road, promos in CARDS
    ),
    Case(
        "InappCommunicationsClient",
        "promos_on_the_way",
        {
            "order_id": "order",
            "sharing_key": "key",
            "share_ride_with_family": False,
            "family_role": "user",
            "locale": "he",
        },
        ParseDict(
            {
                "order_id": "order",
                "sharing_key": "key",
                "share_ride_with_family": {"value": False},
                "family_role": "user",
                "locale": "he",
            },
            inapp.PromosOnTheWayRequest(),
        ),
        ParseDict(
            {"promos": [BELT_JSON, TOGGLE_JSON], "banner_set": "family"},
            inapp.PromosOnTheWayResponse(),
            ignore_unknown_fields=True,
        ),
        PromosOnTheWay((BELT, TOGGLE), "family"),
    ),
    Case(
        "InappCommunicationsClient",
        "promos_on_the_way",
        {"order_id": "order"},
        inapp.PromosOnTheWayRequest(order_id="order"),
        inapp.PromosOnTheWayResponse(),
        PromosOnTheWay((), ""),
    ),
    Case(
        "FamilyClient",
        "get_family",
        {"yandex_uid": "400"},
        family.GetFamilyRequest(yandex_uid="400"),
        ParseDict(
            {
                "family_id": "family",
                "admin": {"yandex_uid": "400", "name": "Ann"},
                "members": [{"yandex_uid": "400", "phone_id": "phone", "role": "owner"}],
            },
            family.GetFamilyResponse(),
        ),
        Family("family", FamilyAdmin("400", "Ann"), (FamilyMember("400", "phone", "owner"),)),
    ),
    Case(
        "FamilyClient",
        "create_family",
        {"admin": FamilyAdmin("400", "Ann"), "phone_id": "phone"},
        ParseDict({"admin": {"yandex_uid": "400", "name": "Ann"}, "phone_id": "phone"}, family.CreateFamilyRequest()),
        family.CreateFamilyResponse(family_id="family"),
        "family",
    ),
    Case(
        "FamilyClient",
        "add_member",
        {"family_id": "family", "member": FamilyMember("401", "phone")},
        ParseDict(
            {"family_id": "family", "member": {"yandex_uid": "401", "phone_id": "phone", "role": "user"}},
            family.AddMemberRequest(),
        ),
        family.AddMemberResponse(),
        None,
    ),
    Case(
        "FamilyClient",
        "remove_member",
        {"family_id": "family", "yandex_uid": "401"},
        family.RemoveMemberRequest(family_id="family", yandex_uid="401"),
        family.RemoveMemberResponse(),
        None,
    ),
    *(
        Case(
            "RouteSharingClient",
            "share_with_family",
            {"order_id": "order", "sharing_key": "key", "share_ride_with_family": on, "yandex_uid": "400"},
            ParseDict(
                {
                    "order_id": "order",
                    "sharing_key": "key",
                    "share_ride_with_family": {"value": on},
                    "yandex_uid": "400",
                },
                route_sharing.ShareWithFamilyRequest(),
            ),
            route_sharing.ShareWithFamilyResponse(),
            None,
        )
        for on in (True, False)
    ),
    Case(
        "RouteSharingClient",
        "get_sharing_info",
        {"sharing_key": "key"},
        route_sharing.GetSharingInfoRequest(sharing_key="key"),
        ParseDict(
            {"phone_ids": ["a", "b"], "family": {"admin_name": "Ann", "admin_uid": str(2**62), "sharing_on": True}},
            route_sharing.GetSharingInfoResponse(),
        ),
        SharingInfo(("a", "b"), SharingFamily("Ann", 2**62, sharing_on=True)),
    ),
    Case(
        "RouteSharingClient",
        "get_sharing_info",
        {"sharing_key": "key"},
        route_sharing.GetSharingInfoRequest(sharing_key="key"),
        route_sharing.GetSharingInfoResponse(),
        SharingInfo((), None),
    ),
    Case(
        "RouteSharingClient",
        "enqueue_insert_order",
        {"order_id": "order", "sharing_key": "key", "phone_ids": ("a", "b"), "yandex_uid": "400"},
        route_sharing.EnqueueInsertOrderRequest(
            order_id="order", sharing_key="key", phone_ids=["a", "b"], yandex_uid="400"
        ),
        route_sharing.EnqueueInsertOrderResponse(),
        None,
    ),
    Case(
        "RouteSharingClient",
        "enqueue_insert_order",
        {"order_id": "order", "sharing_key": "key"},
        route_sharing.EnqueueInsertOrderRequest(order_id="order", sharing_key="key"),
        route_sharing.EnqueueInsertOrderResponse(),
        None,
    ),
    Case(
        "PassengerRouteSharingClient",
        "get_info",
        {"sharing_key": "key"},
        route_sharing.GetInfoRequest(sharing_key="key"),
        route_sharing.GetInfoResponse(order_id="order", popup_title="Title"),
        SharedRide("order", "Title"),
    ),
]


def state_cases(client: str, api: Any) -> list[Case]:
    """The same calls of both back ends of personal states."""
    return [
        Case(
            client,
            "get_personal_state",
            {"yandex_uid": "uid"},
            api.GetPersonalStateRequest(yandex_uid="uid"),
            ParseDict(STATE_JSON, api.GetPersonalStateResponse()),
            personal_state(),
        ),
        Case(
            client,
            "update_personal_state",
            {"yandex_uid": "uid", "revision_id": "6", "selected_category": "", "tariffs": SETTINGS},
            ParseDict(
                {"yandex_uid": "uid", "revision_id": "6", "selected_category": "", "tariffs": SETTINGS_JSON},
                api.UpdatePersonalStateRequest(),
            ),
            ParseDict(STATE_JSON, api.UpdatePersonalStateResponse()),
            personal_state(),
        ),
        Case(
            client,
            "update_personal_state",
            {"yandex_uid": "uid", "revision_id": "6"},
            api.UpdatePersonalStateRequest(yandex_uid="uid", revision_id="6"),
            api.UpdatePersonalStateResponse(revision_id="7"),
            personal_state(selected_category="", tariffs=()),
        ),
        Case(
            client,
            "list_personal_states",
            {"after_yandex_uid": "u", "changed_since": NOON.astimezone(MOSCOW), "page_size": 7},
            ParseDict(
                {"after_yandex_uid": "u", "changed_since": NOON_TEXT, "page_size": 7}, api.ListPersonalStatesRequest()
            ),
            ParseDict({"states": [COPY_JSON]}, api.ListPersonalStatesResponse()),
            (COPY,),
        ),
        Case(
            client,
            "list_personal_states",
            {},
            api.ListPersonalStatesRequest(page_size=1000),
            api.ListPersonalStatesResponse(),
            (),
        ),
        Case(
            client,
            "import_personal_states",
            {"states": [COPY]},
            ParseDict({"states": [COPY_JSON]}, api.ImportPersonalStatesRequest()),
            api.ImportPersonalStatesResponse(stored=1),
            1,
        ),
    ]


CASES += [
    *state_cases("UserStateClient", user_state),
    *state_cases("ProtocolClient", protocol),
    Case(
        "UserStateClient",
        "compare_jsons",
        {
            "request_id": "request",
            "kind": ComparedKind.WRITE,
            "old": [1, {"a": None}],
            "new": "x",
            "old_status": 200,
            "new_status": 409,
        },
        ParseDict(
            {
                "request_id": "request",
                "kind": "write",
                "old": [1, {"a": None}],
                "new": "x",
                "old_status": 200,
                "new_status": 409,
            },
            user_state.CompareJsonsRequest(),
        ),
        user_state.CompareJsonsResponse(),
        None,
    ),
]


@pytest.mark.parametrize("client", ["UserStateClient", "ProtocolClient"])
async def test_a_personal_state_tells_its_answer_as_json_with_what_the_answer_lacks_left_out(
    server: ScriptedServer, flavour: Flavour, client: str
) -> None:
    told = {"revision_id": "7", "selected_category": "", "tariffs": [*SETTINGS_JSON, {"category": "bare"}]}
    api = user_state if client == "UserStateClient" else protocol
    server.script(reply(ParseDict(told, api.GetPersonalStateResponse())))

    state = await flavour.call(server.target, client, "get_personal_state", {"yandex_uid": "uid"})

    assert state.body == told
    assert state.tariffs[-1] == TariffSettings("bare", {})
    assert "nosmoking" not in repr(state.body) or "body" not in repr(state)


@pytest.mark.parametrize("client", ["UserStateClient", "ProtocolClient"])
@pytest.mark.parametrize(("mock", "sent"), [(False, None), (True, "1")])
async def test_a_mock_write_is_asked_for_by_metadata(
    server: ScriptedServer, flavour: Flavour, client: str, mock: bool, sent: str | None
) -> None:
    arguments = {"yandex_uid": "uid", "revision_id": "0", "mock": mock, "metadata": (("x-other", "kept"),)}
    await flavour.call(server.target, client, "update_personal_state", arguments)

    assert server.received[0].metadata.get("x-ya-mock-write-request") == sent
    assert server.received[0].metadata["x-other"] == "kept"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.client}.{case.method}")
async def test_arguments_become_the_request_and_the_answer_becomes_python_values(
    server: ScriptedServer, flavour: Flavour, case: Case
) -> None:
    server.script(reply(case.answer))

    returned = await flavour.call(server.target, case.client, case.method, case.arguments | {"timeout": 10})

    assert server.received[0].request == case.request
    assert returned == case.result
    assert type(returned) is type(case.result)


NO_EULAS: list[object] = [{"status": "expired"}, {"status": 7}, {"valid_till": "soon"}, "surge_il", 7, None, []]


def zone_info_of(*elements: object) -> api_proxy.GetZoneInfoResponse:
    return ParseDict({"need_acceptance": list(elements)}, api_proxy.GetZoneInfoResponse())


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (
            ("PassengerEulasClient", "list_eulas", {"filter": EulaFilter.SIGNED}),
            ParseDict({"eulas": [{"status": "expired"}]}, eulas.PassengerEulasServiceListEulasResponse()),
        ),
        (
            ("EulasClient", "check_eulas", {"yandex_uid": "uid", "eula_types": ["surge"]}),
            ParseDict({"eulas": [{"type": "surge"}]}, eulas.CheckEulasResponse()),
        ),
        *(
            (("ZoneInfoClient", "get_zone_info", {"zone_name": "tel_aviv"}), zone_info_of(element))
            for element in NO_EULAS
        ),
    ],
)
async def test_an_answer_that_the_contract_does_not_know_is_an_error_of_the_service(
    server: ScriptedServer, flavour: Flavour, call: tuple[str, str, dict[str, Any]], answer: Message
) -> None:
    server.script(reply(answer))

    with pytest.raises(ServiceError) as raised:
        await flavour.call(server.target, *call)

    assert raised.value.code is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("client", "method", "arguments"),
    [
        ("TollRoadsClient", "enqueue_order_save", {"order_id": "order"} | BOTH_NO),
        ("PassengerTollRoadsClient", "switch_road", {"order_id": "order", "has_toll_road": True}),
    ],
)
async def test_a_naive_datetime_is_refused(
    server: ScriptedServer, flavour: Flavour, client: str, method: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="aware"):
        await flavour.call(server.target, client, method, arguments | {"created": NOON.replace(tzinfo=None)})

    assert server.received == []


@pytest.mark.parametrize(
    ("client", "method", "arguments"),
    [
        ("TollRoadsClient", "batch_retrieve_orders", {"order_ids": "order"}),
        ("OrderCoreClient", "get_order_fields", {"order_id": "order", "fields": "order.status"}),
        ("OrderCoreClient", "set_order_fields", {"order_id": "order", "unset": "order.status"}),
        ("OrderCoreClient", "set_order_fields", {"order_id": "order", "push": {"order.tags": "tag"}}),
        ("EulasClient", "check_eulas", {"yandex_uid": "uid", "eula_ids": "surge_il"}),
        ("EulasClient", "check_eulas", {"yandex_uid": "uid", "eula_types": "surge"}),
        ("EulasClient", "list_eulas", {"yandex_uid": "uid", "filter": EulaFilter.SIGNED, "tariffs": "econom"}),
        ("PassengerEulasClient", "list_eulas", {"filter": EulaFilter.SIGNED, "tariffs": "econom"}),
        ("RoutestatsClient", "get_route_stats", {"zone_name": "tel_aviv", "tariffs": "econom"}),
    ],
)
async def test_one_string_in_place_of_several_is_refused(
    server: ScriptedServer, flavour: Flavour, client: str, method: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="not"):
        await flavour.call(server.target, client, method, arguments)

    assert server.received == []


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)))  # noqa: DTZ001
def test_a_moment_survives_the_way_to_the_wire_and_back(moment: datetime) -> None:
    sent = Timestamp.FromString(to_timestamp("moment", moment).SerializeToString())

    returned = from_timestamp(sent)

    assert returned == moment.astimezone(UTC)
    assert returned.tzinfo is UTC


_whole = st.integers(-(2**53) + 1, 2**53 - 1)
_text = st.text(st.characters(exclude_categories=["Cs"]))
_scalars = st.none() | st.booleans() | _whole | st.floats(allow_nan=False, allow_infinity=False) | _text
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_text, _values, max_size=5))
def test_a_document_survives_the_way_to_the_wire_and_back(document: dict[str, JsonValue]) -> None:
    sent = Struct.FromString(to_struct(document).SerializeToString())

    assert _typed(from_struct(sent)) == _typed(document)


def _typed(value: JsonValue) -> object:
    """The value with its types, whole numbers as int: 1 and True are two values, 1 and 1.0 are one, as in JSON."""
    if isinstance(value, dict):
        return {name: _typed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_typed(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int, value
    return type(value), value


@pytest.mark.parametrize("number", [2**53, -(2**53), 12345678901234567890, 10**400, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"inner": x}], ids=["bare", "array", "object"])
def test_a_number_that_would_change_on_the_way_is_refused(number: float, wrap: Any) -> None:
    with pytest.raises(ValueError, match="number") as refused:
        to_struct({"total": wrap(number)})
    inside = {"list": "[0]", "dict": '["inner"]'}.get(type(wrap(0)).__name__, "")
    assert str(refused.value).startswith(f'["total"]{inside}: a ')


@pytest.mark.parametrize(
    "value", [b"bytes", NOON, {1, 2}, {1: "name"}, object()], ids=lambda value: type(value).__name__
)
def test_what_is_no_json_is_refused(value: JsonInput) -> None:
    with pytest.raises(TypeError, match="JSON"):
        to_struct({"value": value})


@pytest.mark.parametrize("element", [7, None, "belt", ["belt"], {"id": 7}, {"id": "share", "is_selected": "yes"}])
async def test_a_banner_that_cannot_be_read_is_a_defect_of_the_server(
    server: ScriptedServer, flavour: Flavour, element: object
) -> None:
    answer = ParseDict({"order_id": "order", "promos": [BELT_JSON, element]}, api_proxy.TaxiOnTheWayResponse())
    server.script(reply(answer))
    with pytest.raises(ServiceError) as caught:
        await flavour.call(server.target, "TaxiOnTheWayClient", "taxi_on_the_way", {"order_id": "order", "timeout": 10})
    assert caught.value.code is grpc.StatusCode.INTERNAL
