from __future__ import annotations

import pytest

from ridehail.common.v1 import options_pb2
from ridehail_clients import static_ticket, ticket_from_env
from ridehail_clients.call_context import call_context
from ridehail_clients.contract import method_contract
from tests.clients.flavours import Flavour
from tests.clients.rpcs import Rpc, all_rpcs
from tests.clients.scripted_server import ScriptedServer

SAVE_OFFER = ("TollRoadsClient", "save_offer")
EXAMPLE = {"offer_id": "offer"}
DESTINATIONS = {
    "TollRoadsClient": "toll-roads",
    "OrderCoreClient": "order-core",
    "OrderProviderClient": "eats-orders",
    "OrderStateClient": "order-state",
    "EulasClient": "eulas",
    "FamilyClient": "family",
    "RouteSharingClient": "route-sharing",
    "InappCommunicationsClient": "inapp-communications",
    "UserStateClient": "user-state",
    "ProtocolClient": "protocol",
}
PASSENGER = [rpc for rpc in all_rpcs() if method_contract(rpc.descriptor).audience == options_pb2.AUDIENCE_PASSENGER]
INTERNAL = [rpc for rpc in all_rpcs() if rpc not in PASSENGER]


@pytest.mark.parametrize("rpc", INTERNAL, ids=lambda rpc: rpc.name)
async def test_a_call_carries_a_ticket_for_its_destination(server: ScriptedServer, flavour: Flavour, rpc: Rpc) -> None:
    await flavour.call(
        server.target, rpc.client, rpc.method, rpc.example, ticket=lambda destination: f"ticket for {destination}"
    )

    assert server.received[0].metadata["x-ya-service-ticket"] == f"ticket for {DESTINATIONS[rpc.client]}"


async def test_a_ticket_is_asked_for_before_every_call(server: ScriptedServer, flavour: Flavour) -> None:
    tickets = iter(["first", "second"])

    for _ in range(2):
        await flavour.call(server.target, *SAVE_OFFER, EXAMPLE, ticket=lambda _destination: next(tickets))

    assert [received.metadata["x-ya-service-ticket"] for received in server.received] == ["first", "second"]


async def test_without_a_source_no_ticket_is_sent(server: ScriptedServer, flavour: Flavour) -> None:
    await flavour.call(server.target, *SAVE_OFFER, EXAMPLE)

    assert not {"x-ya-service-ticket", "authorization", "x-request-id"} & set(server.received[0].metadata)


def test_a_static_ticket_is_the_same_for_all() -> None:
    assert static_ticket("token")("toll-roads") == "token"


def test_a_ticket_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ticket_from_env()
    monkeypatch.setenv("RIDEHAIL_TICKET", "from the environment")
    assert source("toll-roads") == "from the environment"

    monkeypatch.delenv("RIDEHAIL_TICKET")
    with pytest.raises(LookupError, match="RIDEHAIL_TICKET"):
        source("toll-roads")


@pytest.mark.parametrize("rpc", PASSENGER, ids=lambda rpc: rpc.name)
async def test_a_passenger_is_known_by_the_session_token(server: ScriptedServer, flavour: Flavour, rpc: Rpc) -> None:
    await flavour.call(server.target, rpc.client, rpc.method, rpc.example, session_token="session")

    assert server.received[0].metadata["authorization"] == "Bearer session"
    assert "x-ya-service-ticket" not in server.received[0].metadata


async def test_the_request_id_of_the_incoming_call_is_passed_on(server: ScriptedServer, flavour: Flavour) -> None:
    with call_context(request_id="request-1"):
        await flavour.call(server.target, *SAVE_OFFER, EXAMPLE)

    assert server.received[0].metadata["x-request-id"] == "request-1"


async def test_metadata_of_the_caller_is_sent_along_and_wins(server: ScriptedServer, flavour: Flavour) -> None:
    given = (("x-own", "value"), ("x-ya-service-ticket", "own ticket"))
    with call_context(request_id="request-1"):
        await flavour.call(
            server.target, *SAVE_OFFER, EXAMPLE | {"metadata": given}, ticket=static_ticket("client's ticket")
        )

    received = server.received[0].metadata
    assert received["x-own"] == "value"
    assert received["x-ya-service-ticket"] == "own ticket"
    assert received["x-request-id"] == "request-1"
