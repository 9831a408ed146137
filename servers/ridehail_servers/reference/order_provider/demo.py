"""The orders of the demo that are no rides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from ridehail_clients import AsyncOrderProviderClient
from ridehail_servers.chassis.service_definition import Demo, Example

PASSENGER: Final = "4000000001"
EATS_ORDER: Final = {
    "orderid": "demo-order-eats",
    "status": "cooking",
    "parts": {"full_info": "1", "eats_tracking": "1"},
    "details": {"restaurant": "Noodle bar", "dishes": 3},
}
GROCERY_ORDER: Final = {
    "orderid": "demo-order-grocery",
    "status": "assembling",
    "parts": {"full_info": "1"},
    "details": {"items": 12},
}


def demo_of(
    service: str,
    order: Mapping[str, Any],  # the arguments of put_order, which differ in type
) -> Callable[[Demo], Awaitable[Sequence[Example]]]:
    """Returns what loads and shows a service's part of the demo: one order, stored unless it is active already."""

    async def load_demo(demo: Demo) -> Sequence[Example]:
        ticket = demo.ticket_of("admin")
        async with AsyncOrderProviderClient(demo.grpc_address, service=service, ticket=ticket) as admin:
            listed = await admin.list_active_orders(yandex_uid=PASSENGER)
            if order["orderid"] not in {one.orderid for one in listed.orders}:
                await admin.put_order(yandex_uid=PASSENGER, **order)
        return (
            demo.grpcurl(
                f"a passenger's orders under way, as {service} tells them",
                "ridehail.orderprovider.v1.OrderProviderService/ListActiveOrders",
                f'{{"yandex_uid": "{PASSENGER}"}}',
                source="admin",
                destination=service,
            ),
        )

    return load_demo
