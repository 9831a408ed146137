"""What a newcomer may ask api_proxy; eulas' part of the demo world has the agreements behind the answers."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_servers.chassis.service_definition import Demo, Example

PASSENGER = "4000000001"


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Returns examples; there is nothing to load.

    Args:
        demo: Where and how to call.
    """
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
        demo.passenger_curl("what the rider has set for rides", "/3.0/personalstate", "{}", uid=PASSENGER),
    )
