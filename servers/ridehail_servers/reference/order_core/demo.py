"""The orders of the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from ridehail_clients import AsyncOrderCoreClient, JsonInput, OrderNotFound
from ridehail_servers.chassis.service_definition import Demo, Example

# The passenger, the order and the offer of the toll-road part of the demo world.
PASSENGER = "4000000001"
TOLL_ORDER = "demo-order-toll"
TOLL_OFFER = "demo-offer-toll"
CITY_ORDER = "demo-order-city"

_SERVICE = "ridehail.ordercore.v1.OrderCoreService"


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Stores two orders of one passenger, unless they exist: one on a toll road, one that waits for a car."""
    created = (demo.clock() - timedelta(minutes=5)).isoformat(timespec="seconds")
    documents: dict[str, Mapping[str, JsonInput]] = {
        TOLL_ORDER: {
            "order": {
                "version": 3,
                "status": "driving",
                "user_id": "demo-user",
                "rsk": "demo-sharing-key",
                "request": {"offer": TOLL_OFFER, "toll_roads": {"user_had_choice": True, "user_chose_toll_road": True}},
                "fixed_price": {"price": 1290, "driver_price": 1140.5},
                "created": created,
            },
            "order_info": {"need_sync": False, "statistics": {"status_updates": [{"s": "driving", "c": created}]}},
            "changes": {"objects": []},
            "parts": {"fast_info": "3", "part2": "1", "route": "1"},
            "details": {"tariff": "comfort", "payment_method": "card"},
        },
        CITY_ORDER: {
            "order": {
                "version": 1,
                "status": "pending",
                "user_id": "demo-user",
                "request": {"offer": "demo-offer-city"},
                "created": created,
            },
            "parts": {"fast_info": "1"},
            "details": {"tariff": "econom", "payment_method": "cash"},
        },
    }
    async with AsyncOrderCoreClient(demo.grpc_address, ticket=demo.ticket_of("admin")) as admin:
        for order_id, document in documents.items():
            try:
                await admin.get_order_info(order_id=order_id)
            except OrderNotFound:
                await admin.put_order(order_id=order_id, yandex_uid=PASSENGER, document=document)
    return (
        demo.grpcurl(
            "what is known of the price of an order",
            f"{_SERVICE}/GetOrderFields",
            f'{{"order_id": "{TOLL_ORDER}", "fields": ["order.status", "order.fixed_price"]}}',
            source="toll-roads",
            destination="order-core",
        ),
        demo.grpcurl(
            "a passenger's orders under way",
            f"{_SERVICE}/ListActiveOrders",
            f'{{"yandex_uid": "{PASSENGER}"}}',
            source="admin",
            destination="order-core",
        ),
    )
