"""The personal state of the demo, in the new back end."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_clients import AsyncUserStateClient
from ridehail_servers.chassis.service_definition import Demo, Example
from ridehail_servers.personal_state_backend.demo import PASSENGER, STATE


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Gives one passenger a chosen tariff and settings, as in the old back end, unless they have changed since."""
    async with AsyncUserStateClient(demo.grpc_address, ticket=demo.ticket_of("admin")) as user_state:
        await user_state.import_personal_states(states=[STATE])
    return (
        demo.curl(
            "what a passenger has set for rides",
            "/v1/personalstate/get",
            f'{{"yandex_uid": "{PASSENGER}"}}',
            source="api-proxy",
            destination="user-state",
        ),
        demo.curl(
            "whether two answers are the same",
            "/internal/compare_jsons",
            '{"request_id": "demo", "kind": "read", "old_status": 200, "new_status": 200, '
            '"old": {"tariffs": [1, 2]}, "new": {"tariffs": [2, 1.0]}}',
            source="api-proxy",
            destination="user-state",
        ),
    )
