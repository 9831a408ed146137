"""Example calls of api_proxy; the other services' demo data is behind them."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_servers.chassis.service_definition import Demo, Example

PASSENGER = "4000000001"
# order_core's part of the demo world has it, and family's has the passenger's family.
RIDE = "demo-order-toll"


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Returns examples; there is nothing to load."""
    return (
        demo.passenger_curl(
            "which tariffs the rider is shown",
            "/3.0/routestats",
            '{"zone_name": "tel_aviv", "tariffs": ["econom", "econom_surge", "child", "business"]}',
            uid=PASSENGER,
        ),
        demo.passenger_curl(
            "which agreements the rider has yet to answer", "/3.0/zoneinfo", '{"zone_name": "tel_aviv"}', uid=PASSENGER
        ),
        demo.passenger_curl(
            "which orders the rider has, and how to poll them",
            "/3.0/launch",
            '{"supported_services": ["taxi", "eats", "grocery"]}',
            uid=PASSENGER,
        ),
        demo.passenger_curl(
            "what the card of a ride shows after the rider has shared it with the family",
            "/3.0/taxiontheway",
            f'{{"order_id": "{RIDE}", "user_actions": {{"share_ride_with_family": {{"value": true}}}}}}',
            uid=PASSENGER,
            family_role="user",
        ),
        demo.passenger_curl("what the rider has set for rides", "/3.0/personalstate", "{}", uid=PASSENGER),
    )
