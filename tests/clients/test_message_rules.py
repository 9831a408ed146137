"""What a client refuses to send, and what it takes for a defect of the server."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_clients import (
    EulaFilter,
    LaunchKnownOrder,
    PassengerTollRoadsClient,
    ServiceError,
    TariffSettings,
    TollRoadsClient,
)
from tests.clients.cases.order_state import KNOWN
from tests.clients.cases.personal_states import SETTINGS_JSON
from tests.clients.cases.rides import BELT_JSON
from tests.clients.flavours import ASYNCIO, BLOCKING
from tests.clients.rpcs import rpc_named
from tests.clients.scripted_server import ScriptedServer, reply

PUT: dict[str, Any] = {"orderid": "order", "yandex_uid": "uid", "status": "cooking"}
NOT_SENT: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    # A time without a time zone.
    ("TollRoadsService/EnqueueOrderSave", {"created": datetime(2026, 3, 4)}, ValueError, "aware"),  # noqa: DTZ001
    ("PassengerTollRoadsService/SwitchRoad", {"created": datetime(2026, 3, 4)}, ValueError, "aware"),  # noqa: DTZ001
    ("UserStateService/ListPersonalStates", {"changed_since": datetime(2026, 3, 4)}, ValueError, "aware"),  # noqa: DTZ001
    # One string in place of several.
    ("TollRoadsService/BatchRetrieveOrders", {"order_ids": "order"}, TypeError, "not"),
    ("OrderCoreService/GetOrderFields", {"fields": "order.status"}, TypeError, "not"),
    ("OrderCoreService/SetOrderFields", {"unset": "order.status"}, TypeError, "not"),
    ("OrderCoreService/SetOrderFields", {"push": {"order.tags": "tag"}}, TypeError, "not"),
    ("EulasService/CheckEulas", {"eula_ids": "surge_il"}, TypeError, "not"),
    ("EulasService/CheckEulas", {"eula_types": "surge"}, TypeError, "not"),
    ("EulasService/ListEulas", {"filter": EulaFilter.SIGNED, "tariffs": "econom"}, TypeError, "not"),
    ("PassengerEulasService/ListEulas", {"filter": EulaFilter.SIGNED, "tariffs": "econom"}, TypeError, "not"),
    ("RoutestatsService/GetRouteStats", {"tariffs": "econom"}, TypeError, "not"),
    # What is no JSON, or would change on the way.
    ("OrderProviderService/PutOrder", {**PUT, "details": {"a": math.nan}}, ValueError, "number"),
    ("OrderProviderService/PutOrder", {**PUT, "details": {"a": 2**53 + 1}}, ValueError, "number"),
    ("OrderProviderService/PutOrder", {**PUT, "details": {1: 2}}, TypeError, "JSON"),
    ("OrderProviderService/PutOrder", {**PUT, "details": {"a": object()}}, TypeError, "JSON"),
    ("OrderCoreService/PutOrder", {"document": {"a": math.nan}}, ValueError, "number"),
    ("OrderCoreService/SetOrderFields", {"set": {"a": math.nan}}, ValueError, "number"),
    ("OrderCoreService/SetOrderFields", {"push": {"a": [math.nan]}}, ValueError, "number"),
    ("UserStateService/CompareJsons", {"old": [math.nan]}, ValueError, "number"),
    *(
        (rpc, {"known_orders": [replace(KNOWN, details={"price": math.nan})]}, ValueError, "number")
        for rpc in (
            "LaunchService/Launch",
            "PassengerOrderStateService/PollOrdersState",
            "OrderStateService/GetOrdersState",
        )
    ),
    *(
        (
            f"{service}/UpdatePersonalState",
            {"tariffs": [TariffSettings("econom", {"a": math.nan})]},
            ValueError,
            "number",
        )
        for service in ("UserStateService", "ProtocolService")
    ),
    # A further member that is named like one of the contract.
    *(
        (
            "LaunchService/Launch",
            {"known_orders": [LaunchKnownOrder("1", "taxi", other={name: "mine"})]},
            ValueError,
            name,
        )
        for name in ("tags", "details", "need_request", "update_status")
    ),
]


@pytest.mark.parametrize(("rpc", "arguments", "error", "why"), NOT_SENT)
async def test_what_the_contract_cannot_hold_is_not_sent(
    server: ScriptedServer, rpc: str, arguments: dict[str, Any], error: type[Exception], why: str
) -> None:
    one = rpc_named(rpc)
    with pytest.raises(error, match=why):
        await ASYNCIO.call(ASYNCIO.in_memory(server), one.client, one.method, one.example | arguments)

    assert server.received == []


NO_EULAS: list[object] = [{"status": "expired"}, {"status": 7}, {"valid_till": "soon"}, "surge_il", 7, None, []]
NO_BANNERS: list[object] = [7, None, "belt", ["belt"], {"id": 7}, {"id": "share", "is_selected": "yes"}]
NO_ORDERS: list[object] = [
    {"update_status": "maybe"},
    {"orderid": 7, "update_status": "actual"},
    {"tags": [], "update_status": "actual"},
    {},
]
UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    ("EulasService/ListEulas", {"eulas": [{"status": "expired"}]}),
    ("PassengerEulasService/ListEulas", {"eulas": [{"status": "expired"}]}),
    ("EulasService/CheckEulas", {"eulas": [{"type": "surge"}]}),
    ("PassengerOrderStateService/PollOrdersState", {"orders": [{"update_status": "maybe"}]}),
    ("OrderStateService/GetOrdersState", {"orders": [{"update_status": "maybe"}]}),
    ("TaxiOnTheWayService/TaxiOnTheWay", {"order_id": "order", "toll_road_status": "perhaps"}),
    *(("ZoneInfoService/GetZoneInfo", {"need_acceptance": [element]}) for element in NO_EULAS),
    *(("TaxiOnTheWayService/TaxiOnTheWay", {"promos": [BELT_JSON, element]}) for element in NO_BANNERS),
    *(("LaunchService/Launch", {"mlutp_orders_state": {"orders": [order]}}) for order in NO_ORDERS),
]


@pytest.mark.parametrize(("rpc", "response"), UNREADABLE)
async def test_a_response_that_the_contract_does_not_know_is_a_defect_of_the_server(
    server: ScriptedServer, rpc: str, response: dict[str, Any]
) -> None:
    one = rpc_named(rpc)
    server.script(reply(one.response(response)))

    with pytest.raises(ServiceError) as raised:
        await ASYNCIO.call(ASYNCIO.in_memory(server), one.client, one.method, one.example)

    assert raised.value.code is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize("service", ["UserStateService", "ProtocolService"])
async def test_a_personal_state_has_its_response_as_json_without_what_the_response_lacks(
    server: ScriptedServer, service: str
) -> None:
    expected = {"revision_id": "7", "selected_category": "", "tariffs": [*SETTINGS_JSON, {"category": "bare"}]}
    rpc = rpc_named(f"{service}/GetPersonalState")
    server.script(reply(rpc.response(expected)))

    state = await ASYNCIO.call(ASYNCIO.in_memory(server), rpc.client, rpc.method, rpc.example)

    assert state.body == expected
    assert state.tariffs[-1] == TariffSettings("bare", {})
    assert "nosmoking" not in repr(state.body) or "body" not in repr(state)


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)))  # noqa: DTZ001
def test_a_timestamp_survives_the_way_to_the_wire_and_back(timestamp: datetime) -> None:
    server = ScriptedServer()
    passenger = PassengerTollRoadsClient(BLOCKING.in_memory(server))
    passenger.switch_road(order_id="order", has_toll_road=True, created=timestamp)
    sent = server.received[0].request
    assert isinstance(sent, toll_roads.SwitchRoadRequest)
    server.script(reply(toll_roads.RetrieveOrderResponse(created=sent.created)))

    returned = TollRoadsClient(BLOCKING.in_memory(server)).retrieve_order(order_id="order").created

    assert returned == timestamp.astimezone(UTC)
    assert returned is not None
    assert returned.tzinfo is UTC
