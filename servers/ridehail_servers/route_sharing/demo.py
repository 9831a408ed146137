"""The shared ride of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ridehail_clients import AsyncRouteSharingClient, NotInFamily
from ridehail_servers.chassis.service_definition import Demo, Example

# The demo's toll-road order, its key (`order.rsk`), and its rider, whose family has a watcher.
ORDER = "demo-order-toll"
SHARING_KEY = "demo-sharing-key"
PASSENGER = "4000000001"
WATCHER = "4000000003"
WATCHER_PHONE = "demo-phone-watcher"
FRIENDS_PHONE = "demo-phone-friend"


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Shares the demo's ride with a friend, and once with the family: then the toggle belongs to who tries the demo."""
    async with AsyncRouteSharingClient(demo.grpc_address, ticket=demo.ticket_of("admin")) as admin:
        known = await admin.get_sharing_info(sharing_key=SHARING_KEY)
    async with AsyncRouteSharingClient(demo.grpc_address, ticket=demo.ticket_of("processing")) as processing:
        await processing.enqueue_insert_order(
            order_id=ORDER, sharing_key=SHARING_KEY, phone_ids=[FRIENDS_PHONE], yandex_uid=PASSENGER
        )
    if known.family is None and not known.phone_ids:
        async with AsyncRouteSharingClient(demo.grpc_address, ticket=demo.ticket_of("api-proxy")) as api_proxy:
            with suppress(NotInFamily):  # whoever changed the family has other plans
                await api_proxy.share_with_family(
                    order_id=ORDER, sharing_key=SHARING_KEY, share_ride_with_family=True, yandex_uid=PASSENGER
                )
    return (
        demo.curl(
            "whom is the ride shared with",
            f"/sharing-info?sharing_key={SHARING_KEY}",
            None,
            source="inapp-communications",
            destination="route-sharing",
        ),
        demo.passenger_curl(
            "what a member of the family sees of it",
            f"/4.0/order-route-sharing/v1/info?sharing_key={SHARING_KEY}",
            None,
            uid=WATCHER,
            phone_id=WATCHER_PHONE,
        ),
        demo.curl(
            "the rider shares it with the family (by false: stops to)",
            "/share-with-family",
            f'{{"order_id": "{ORDER}", "sharing_key": "{SHARING_KEY}", "yandex_uid": "{PASSENGER}",'
            ' "share_ride_with_family": {"value": true}}',
            source="api-proxy",
            destination="route-sharing",
        ),
    )
