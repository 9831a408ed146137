"""The orders of the demo that are no rides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ridehail_clients import AsyncOrderProviderClient, JsonInput
from ridehail_servers.chassis.service_definition import Demo, Example

PASSENGER: Final = "4000000001"

_SERVICE: Final = "ridehail.orderprovider.v1.OrderProviderService"


@dataclass(frozen=True, slots=True)
class DemoOrder:
    """An order of the demo."""

    orderid: str
    status: str
    parts: MappingProxyType[str, str]
    details: MappingProxyType[str, JsonInput]


EATS_ORDER: Final = DemoOrder(
    "demo-order-eats",
    "cooking",
    MappingProxyType({"full_info": "1", "eats_tracking": "1"}),
    MappingProxyType({"restaurant": "Noodle bar", "dishes": 3}),
)
GROCERY_ORDER: Final = DemoOrder(
    "demo-order-grocery",
    "assembling",
    MappingProxyType({"full_info": "1"}),
    MappingProxyType({"items": 12}),
)


def demo_of(service: str, order: DemoOrder) -> Callable[[Demo], Awaitable[Sequence[Example]]]:
    """Returns what loads and shows a service's part of the demo: one order, stored unless it is active already."""

    async def load_demo(demo: Demo) -> Sequence[Example]:
        ticket = demo.ticket_of("admin")
        async with AsyncOrderProviderClient(demo.grpc_address, service=service, ticket=ticket) as admin:
            listed = await admin.list_active_orders(yandex_uid=PASSENGER)
            if order.orderid not in {one.orderid for one in listed.orders}:
                await admin.put_order(
                    orderid=order.orderid,
                    yandex_uid=PASSENGER,
                    status=order.status,
                    parts=order.parts,
                    details=order.details,
                )
        return (
            demo.grpcurl(
                f"a passenger's orders under way, as {service} tells them",
                f"{_SERVICE}/ListActiveOrders",
                f'{{"yandex_uid": "{PASSENGER}"}}',
                source="admin",
                destination=service,
            ),
        )

    return load_demo
