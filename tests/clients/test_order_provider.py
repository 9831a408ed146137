"""The client of services that keep orders: whom it names in its tickets, and how it reads and writes orders."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.orderprovider.v1 import order_provider_api_pb2 as api
from ridehail_clients import ActiveOrder, ActiveOrders
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer, reply

CLIENT = "OrderProviderClient"
LISTED: dict[str, Any] = {
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
    "can_make_more_orders": False,
    "no_more_orders_reason": "too many",
}


@pytest.mark.parametrize("service", ["eats-orders", "grocery-orders"])
async def test_tickets_are_for_the_service_that_the_client_is_made_for(
    server: ScriptedServer, flavour: Flavour, service: str
) -> None:
    ticket = "ticket for {}".format
    await flavour.call(
        server.target, CLIENT, "list_active_orders", {"yandex_uid": "uid"}, service=service, ticket=ticket
    )

    assert server.received[0].metadata["x-ya-service-ticket"] == f"ticket for {service}"


async def test_a_client_is_made_for_one_service(server: ScriptedServer, flavour: Flavour) -> None:
    with pytest.raises(TypeError, match="service"):
        flavour.client_class(CLIENT)(server.target)


@pytest.mark.parametrize(
    ("arguments", "request_json"),
    [
        (
            {
                "orderid": "order",
                "yandex_uid": "uid",
                "status": "cooking",
                "parts": {"full_info": "7"},
                "details": {"dishes": (3, None), "hot": True},
                "finished": True,
            },
            {
                "orderid": "order",
                "yandex_uid": "uid",
                "status": "cooking",
                "parts": {"full_info": "7"},
                "details": {"dishes": [3, None], "hot": True},
                "finished": True,
            },
        ),
        (
            {"orderid": "order", "yandex_uid": "uid", "status": "cooking"},
            {"orderid": "order", "yandex_uid": "uid", "status": "cooking", "finished": False},
        ),
    ],
)
async def test_an_order_is_put_as_it_is_given(
    server: ScriptedServer, flavour: Flavour, arguments: dict[str, Any], request_json: dict[str, Any]
) -> None:
    server.script(reply(api.PutOrderResponse(sequence=9)))

    assert await flavour.call(server.target, CLIENT, "put_order", arguments) == 9

    assert server.received[0].request == ParseDict(request_json, api.PutOrderRequest())


@pytest.mark.parametrize("details", [{"a": float("nan")}, {"a": 2**53 + 1}, {1: 2}, {"a": object()}])
async def test_details_that_are_no_json_are_not_sent(
    server: ScriptedServer, flavour: Flavour, details: dict[str, Any]
) -> None:
    arguments = {"orderid": "order", "yandex_uid": "uid", "status": "cooking", "details": details}
    with pytest.raises((ValueError, TypeError)):
        await flavour.call(server.target, CLIENT, "put_order", arguments)
    assert server.received == []


@pytest.mark.parametrize(
    ("client", "answer"),
    [(CLIENT, api.ListActiveOrdersResponse), ("OrderCoreClient", order_core.ListActiveOrdersResponse)],
)
async def test_orders_under_way_look_the_same_whoever_keeps_them(
    server: ScriptedServer, flavour: Flavour, client: str, answer: Any
) -> None:
    server.script(reply(ParseDict(LISTED, answer())), reply(answer()))
    arguments = {"yandex_uid": "uid"}

    full = await flavour.call(server.target, client, "list_active_orders", arguments)
    empty = await flavour.call(server.target, client, "list_active_orders", arguments)

    assert full == ActiveOrders(
        orders=(
            ActiveOrder("order", "cooking", {"full_info": "7"}, {"dishes": [3, None]}, 9),
            ActiveOrder("bare", "", {}, {}, 0),
        ),
        can_make_more_orders=False,
        no_more_orders_reason="too many",
    )
    assert empty == ActiveOrders(orders=(), can_make_more_orders=None, no_more_orders_reason=None)
