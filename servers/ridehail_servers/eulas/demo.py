"""The demo data of eulas."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_clients import AsyncAdminEulasClient, AsyncEulasClient, EulaDecision, EulaState
from ridehail_servers.chassis.service_definition import Demo, Example

PASSENGER = "4000000001"
ACCEPTED = "surge_il"

_SERVICE = "ridehail.eulas.v1.EulasService"


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Accepts the surge in Israel for a passenger who has not decided yet, and copies the agreements of the file."""
    async with AsyncEulasClient(demo.grpc_address, ticket=demo.ticket_of("admin")) as eulas:
        (surge,) = await eulas.check_eulas(yandex_uid=PASSENGER, eula_ids=[ACCEPTED])
        if surge.status is EulaState.UNKNOWN:
            decision = EulaDecision(ACCEPTED, EulaState.ACCEPTED)
            await eulas.save_eulas(yandex_uid=PASSENGER, eulas=[decision])
    async with AsyncAdminEulasClient(demo.grpc_address, ticket=demo.ticket_of("admin")) as admin:
        await admin.import_eulas(actor="demo")
    check_types = f'{{"yandex_uid": "{PASSENGER}", "eula_types": ["surge", "child_seat"]}}'
    return (
        demo.grpcurl(
            "where does the rider stand with the surge",
            f"{_SERVICE}/CheckEulas",
            check_types,
            source="api-proxy",
            destination="eulas",
        ),
        demo.curl("the same as JSON", "/v1/check", check_types, source="api-proxy", destination="eulas"),
        demo.passenger_curl(
            "what does the rider still have to read in Tel Aviv",
            "/4.0/eulas/v1/list",
            '{"filter": "unknown", "zone_name": "tel_aviv"}',
            uid=PASSENGER,
        ),
        demo.passenger_curl(
            "the rider accepts it",
            "/4.0/eulas/v1/save",
            '{"eulas": [{"eula_id": "child_seat_il", "status": "accepted"}]}',
            uid=PASSENGER,
        ),
        demo.curl(
            "who did what with the agreement, and when",
            "/v1/admin/eulas/history",
            f'{{"eula_id": "{ACCEPTED}", "page_size": 5}}',
            source="admin",
            destination="eulas",
        ),
    )
