"""The metadata that identifies the caller of a call."""

from __future__ import annotations

import pytest

from ridehail_clients import static_ticket, ticket_from_env
from ridehail_kernel.call_context import call_context
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer

SAVE_OFFER = ("TollRoadsClient", "save_offer", {"offer_id": "offer"})


async def test_a_ticket_is_asked_for_before_every_call(server: ScriptedServer, flavour: Flavour) -> None:
    tickets = iter(["first", "second"])

    async with flavour.opened(
        flavour.in_memory(server), "TollRoadsClient", ticket=lambda _destination: next(tickets)
    ) as opened:
        for _ in range(2):
            await opened.call("save_offer", offer_id="offer")

    assert [received.metadata["x-ya-service-ticket"] for received in server.received] == ["first", "second"]


async def test_without_a_source_nothing_is_told(server: ScriptedServer, flavour: Flavour) -> None:
    await flavour.call(flavour.in_memory(server), *SAVE_OFFER)

    assert server.received[0].metadata == {}


def test_a_static_ticket_is_the_same_for_all() -> None:
    assert static_ticket("token")("toll-roads") == "token"


def test_a_ticket_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ticket_from_env()
    monkeypatch.setenv("RIDEHAIL_TICKET", "from the environment")
    assert source("toll-roads") == "from the environment"

    monkeypatch.delenv("RIDEHAIL_TICKET")
    with pytest.raises(LookupError, match="RIDEHAIL_TICKET"):
        source("toll-roads")


async def test_metadata_of_the_caller_is_sent_along_and_wins(server: ScriptedServer, flavour: Flavour) -> None:
    client, method, arguments = SAVE_OFFER
    given = (("x-own", "value"), ("x-ya-service-ticket", "own ticket"))
    with call_context(request_id="request-1"):
        # Over a real wire: what is sent arrives.
        await flavour.call(
            server.target, client, method, arguments | {"metadata": given}, ticket=static_ticket("client's ticket")
        )

    received = server.received[0].metadata
    assert received["x-own"] == "value"
    assert received["x-ya-service-ticket"] == "own ticket"
    assert received["x-request-id"] == "request-1"


@pytest.mark.parametrize("client", ["UserStateClient", "ProtocolClient"])
@pytest.mark.parametrize(("mock", "sent"), [(False, {}), (True, {"x-ya-mock-write-request": "1"})])
async def test_a_mock_write_is_asked_for_by_metadata(
    server: ScriptedServer, flavour: Flavour, client: str, mock: bool, sent: dict[str, str]
) -> None:
    arguments = {"yandex_uid": "uid", "revision_id": "0", "mock": mock, "metadata": (("x-other", "kept"),)}
    await flavour.call(flavour.in_memory(server), client, "update_personal_state", arguments)

    assert server.received[0].metadata == {"x-other": "kept", **sent}


@pytest.mark.parametrize("service", ["eats-orders", "grocery-orders"])
async def test_tickets_are_for_the_service_that_the_client_of_an_order_provider_is_made_for(
    server: ScriptedServer, flavour: Flavour, service: str
) -> None:
    call = (flavour.in_memory(server), "OrderProviderClient", "list_active_orders", {"yandex_uid": "uid"})
    await flavour.call(*call, service=service, ticket="ticket for {}".format)

    assert server.received[0].metadata == {"x-ya-service-ticket": f"ticket for {service}"}
