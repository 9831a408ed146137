"""The demo data of toll_roads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ridehail_clients import AsyncTollRoadsClient
from ridehail_servers.chassis.service_definition import Demo, Example

OFFER = "demo-offer-toll"
ORDER = "demo-order-toll"
PASSENGER = "4000000001"

_SERVICE = "ridehail.tollroads.v1.TollRoadsService"


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Saves one toll-road offer and one order made from it, unless they are there already."""
    async with AsyncTollRoadsClient(demo.grpc_address, ticket=demo.ticket_of("routestats")) as routestats:
        if not await routestats.save_offer(offer_id=OFFER):
            raise RuntimeError("toll-roads did not save the demo's offer")
    async with AsyncTollRoadsClient(demo.grpc_address, ticket=demo.ticket_of("api-proxy")) as api_proxy:
        is_known = (await api_proxy.batch_retrieve_orders(order_ids=[ORDER])).orders
    if not is_known:
        async with AsyncTollRoadsClient(demo.grpc_address, ticket=demo.ticket_of("processing")) as processing:
            await processing.enqueue_order_save(
                order_id=ORDER,
                created=demo.clock() - timedelta(minutes=5),
                offer_id=OFFER,
                can_switch_road=True,
                user_chose_toll_road=True,
                yandex_uid=PASSENGER,
            )
    by_order = f'{{"order_id": "{ORDER}"}}'
    return (
        demo.grpcurl(
            "which road does the order use",
            f"{_SERVICE}/RetrieveOrder",
            by_order,
            source="api-proxy",
            destination="toll-roads",
        ),
        demo.curl(
            "the same as JSON", "/toll-roads/v1/order/retrieve", by_order, source="api-proxy", destination="toll-roads"
        ),
        demo.curl(
            "an offer by a toll road",
            "/toll-roads/v1/offer",
            '{"offer_id": "my-offer"}',
            source="routestats",
            destination="toll-roads",
        ),
        demo.passenger_curl(
            "the rider switches to the free road",
            "/4.0/toll-roads/v1/order",
            f'{{"order_id": "{ORDER}", "has_toll_road": false, "created": "\'$(date -u +%FT%TZ)\'"}}',
            uid=PASSENGER,
        ),
    )
