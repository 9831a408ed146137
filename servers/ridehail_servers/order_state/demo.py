"""Reports of the demo's orders."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_clients import AsyncOrderStateClient
from ridehail_servers.chassis.service_definition import Demo, Example

from .orders import PROVIDERS

PASSENGER = "4000000001"

_SERVICE = "ridehail.orderstate.v1.OrderStateService"


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Reports the orders of one rider as their providers list them, so that polls find them."""
    async with AsyncOrderStateClient(demo.grpc_address, ticket=demo.ticket_of("admin")) as order_state:
        for service in PROVIDERS:
            listed = await order_state.get_service_orders_state(service=service, yandex_uid=PASSENGER)
            for order in listed.orders:
                if order.sequence:
                    await order_state.report_order_parts(
                        service=service,
                        orderid=order.orderid,
                        yandex_uid=PASSENGER,
                        sequence=order.sequence,
                        parts=order.parts,
                    )
    return (
        demo.passenger_curl("what has changed of the rider's orders", "/mlutp/v1/orders/state", "{}", uid=PASSENGER),
        demo.passenger_curl(
            "the same, after asking taxi", "/mlutp/v1/orders/state", '{"tags": {"taxi": ""}}', uid=PASSENGER
        ),
        demo.passenger_curl(
            "the app reports a part that it could not put together; see `ridehail order-state invalid-parts`",
            "/mlutp/v1/orders/invalid-parts",
            '{"parts": [{"service": "taxi", "part_name": "fast_info", "problem": "missing", "count": 1,'
            ' "shape": [{"path": "$", "type": "object"}, {"path": "$.field1", "type": "null"}]}]}',
            uid=PASSENGER,
        ),
        demo.curl(
            "what an app that starts needs",
            "/v1/orders/state",
            f'{{"yandex_uid": "{PASSENGER}", "supported_services": ["taxi", "eats", "grocery"]}}',
            source="api-proxy",
            destination="order-state",
        ),
        demo.grpcurl(
            "which orders one service has of the rider",
            f"{_SERVICE}/GetServiceOrdersState",
            f'{{"service": "eats", "yandex_uid": "{PASSENGER}"}}',
            source="api-proxy",
            destination="order-state",
        ),
    )
