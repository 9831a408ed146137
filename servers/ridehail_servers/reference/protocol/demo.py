"""The personal state of the demo world, in the old back end."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_clients import AsyncProtocolClient
from ridehail_servers.chassis.service_definition import Demo, Example
from ridehail_servers.personal_state_backend.demo import PASSENGER, STATE


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Gives one passenger a chosen tariff and settings, unless the state has changed since."""
    async with AsyncProtocolClient(demo.grpc_address, ticket=demo.ticket_of("admin")) as protocol:
        await protocol.import_personal_states(states=[STATE])
    return (
        demo.grpcurl(
            "what the old back end tells of a passenger's settings",
            "ridehail.protocol.v1.ProtocolService/GetPersonalState",
            f'{{"yandex_uid": "{PASSENGER}"}}',
            source="api-proxy",
            destination="protocol",
        ),
    )
