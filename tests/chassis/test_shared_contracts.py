"""One contract, several services in one process: the destination of the call's ticket says which is meant."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from ridehail.ordercore.v1 import order_core_api_pb2, order_core_api_pb2_grpc
from ridehail.orderprovider.v1 import order_provider_api_pb2, order_provider_api_pb2_grpc
from ridehail_servers.chassis import app
from ridehail_servers.chassis.keys import KeyRing, create_key_pair
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import TicketIssuer, claimed_destination
from ridehail_servers.runtime.ports import reserve
from tests.support.calls import Metadata, call, failure_of

LIST = "/ridehail.orderprovider.v1.OrderProviderService/ListActiveOrders"
LIST_OF_CORE = "/ridehail.ordercore.v1.OrderCoreService/ListActiveOrders"
REQUEST = order_provider_api_pb2.ListActiveOrdersRequest(yandex_uid="400")
PROVIDER = Contract(
    order_provider_api_pb2.DESCRIPTOR.services_by_name["OrderProviderService"],
    order_provider_api_pb2_grpc.add_OrderProviderServiceServicer_to_server,
)
CORE = Contract(
    order_core_api_pb2.DESCRIPTOR.services_by_name["OrderCoreService"],
    order_core_api_pb2_grpc.add_OrderCoreServiceServicer_to_server,
)


class Named:
    """Answers every method with the name of its service, in an answer of ListActiveOrders."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, _method: str) -> Callable[[Any, Any], Awaitable[Message]]:
        async def answer(_request: Any, _context: Any) -> Message:
            # Order core's looks the same on the wire.
            return order_provider_api_pb2.ListActiveOrdersResponse(no_more_orders_reason=self._name)

        return answer


def a_service(name: str, contract: Contract, servicer: object) -> ServiceDefinition:
    @asynccontextmanager
    async def build(_context: ServiceContext) -> AsyncIterator[RunningService]:
        yield RunningService((servicer,))

    return ServiceDefinition(name, (contract,), build)


@asynccontextmanager
async def serving(*definitions: ServiceDefinition, keys_dir: Path, config_dir: Path) -> AsyncIterator[grpc.aio.Channel]:
    with reserve("127.0.0.1", 0) as reserved:
        settings = ProcessSettings(
            services=tuple(one.name for one in definitions),
            grpc_port=reserved.getsockname()[1],
            config_dir=config_dir,
            keys_dir=keys_dir,
            drain_notice_s=0,
            reflection=True,
        )
        async with app.build(definitions, settings) as built:
            server = app.Server(built, settings)
            port = await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield channel
            await server.drain()


EATS, GROCERY = (a_service(name, PROVIDER, Named(name)) for name in ("eats-orders", "grocery-orders"))


@pytest.fixture(scope="module")
async def channel(sockets: None, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[grpc.aio.Channel]:
    core = a_service("order-core", CORE, Named("order-core"))
    async with serving(core, EATS, GROCERY, keys_dir=keys_dir, config_dir=module_config_dir) as channel:
        yield channel


@pytest.fixture
def keys(keys_dir: Path) -> KeyRing:
    return KeyRing(keys_dir / "tickets")


def showing(*tickets: str) -> Metadata:
    return tuple(("x-ya-service-ticket", ticket) for ticket in tickets)


def unsigned(claims: object) -> str:
    parts = ({"alg": "EdDSA", "kid": "dev-1"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*encoded, "AAAA"))


async def answering(channel: grpc.aio.Channel, metadata: Metadata, path: str = LIST) -> str:
    answer = await call(channel, path, REQUEST, metadata=metadata)
    return order_provider_api_pb2.ListActiveOrdersResponse.FromString(answer).no_more_orders_reason


@pytest.mark.parametrize("service", ["eats-orders", "grocery-orders"])
async def test_the_destination_of_the_ticket_chooses_the_service(
    channel: grpc.aio.Channel, keys: KeyRing, service: str
) -> None:
    ticket = TicketIssuer(keys, "order-state")(service)

    assert await answering(channel, showing(ticket)) == service
    # Where a ticket stands twice the last one counts, for the choice as for the verdict.
    other = TicketIssuer(keys, "order-state")("eats-orders" if service != "eats-orders" else "grocery-orders")
    assert await answering(channel, showing(other, ticket)) == service


async def test_a_contract_of_one_service_is_served_as_ever(channel: grpc.aio.Channel, keys: KeyRing) -> None:
    issuer = TicketIssuer(keys, "order-state")
    assert await answering(channel, showing(issuer("order-core")), LIST_OF_CORE) == "order-core"

    error = await failure_of(channel, LIST_OF_CORE, REQUEST, metadata=showing(issuer("grocery-orders")))

    assert (error.reason, error.metadata) == ("TICKET_WRONG_DESTINATION", {"service": "order-core"})


async def test_what_is_meant_for_none_of_them_the_first_one_refuses(channel: grpc.aio.Channel, keys: KeyRing) -> None:
    issuer = TicketIssuer(keys, "order-state")
    for destination in ("order-core", "nobody", "eats-orders "):
        error = await failure_of(channel, LIST, REQUEST, metadata=showing(issuer(destination)))
        assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TICKET_WRONG_DESTINATION")
        assert error.metadata == {"service": "eats-orders"}

    assert (await failure_of(channel, LIST, REQUEST)).reason == "TICKET_MISSING"
    assert (await failure_of(channel, LIST, REQUEST, metadata=showing(""))).reason == "TICKET_MISSING"


FORGED = {
    "garbage": "garbage",
    "three parts": "a.b.c",
    "dots": "..",
    "too long": "x" * 5000,
    "whole": unsigned({"src": "order-state", "dst": "grocery-orders", "iat": 1, "exp": 10**10}),
    "a list": unsigned({"src": "order-state", "dst": ["grocery-orders"]}),
    "an object": unsigned({"dst": {"a": 1}}),
    "null": unsigned({"dst": None}),
    "no object": unsigned("grocery-orders"),
    "too long a claim": unsigned({"dst": "grocery-orders", "long": "x" * 5000}),
    "deep": unsigned(json.loads("[" * 900 + "]" * 900)),
}


@pytest.mark.parametrize("ticket", FORGED.values(), ids=FORGED)
async def test_a_claim_that_nobody_signed_lets_nobody_in(channel: grpc.aio.Channel, ticket: str) -> None:
    error = await failure_of(channel, LIST, REQUEST, metadata=showing(ticket))

    assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TICKET_INVALID")


async def test_the_chosen_service_verifies_the_ticket(channel: grpc.aio.Channel, keys: KeyRing, tmp_path: Path) -> None:
    kid, _key = keys.signing_key("order-state")
    create_key_pair(tmp_path / "foreign" / "order-state", kid)
    foreign = TicketIssuer(KeyRing(tmp_path / "foreign"), "order-state")("grocery-orders")
    then = datetime.now(UTC) - timedelta(hours=2)
    expired = TicketIssuer(keys, "order-state", clock=lambda: then)("grocery-orders")
    not_listed = TicketIssuer(keys, "routestats")("grocery-orders")

    reasons = [
        (await failure_of(channel, LIST, REQUEST, metadata=showing(ticket))).reason
        for ticket in (foreign, expired, not_listed)
    ]

    assert reasons == ["TICKET_INVALID", "TICKET_EXPIRED", "CALLER_NOT_ALLOWED"]


@pytest.mark.integration
async def test_one_of_them_alone_refuses_what_is_meant_for_the_other(
    keys_dir: Path, config_dir: Path, keys: KeyRing
) -> None:
    issuer = TicketIssuer(keys, "order-state")
    async with serving(GROCERY, keys_dir=keys_dir, config_dir=config_dir) as channel:
        assert await answering(channel, showing(issuer("grocery-orders"))) == "grocery-orders"
        error = await failure_of(channel, LIST, REQUEST, metadata=showing(issuer("eats-orders")))
    assert (error.reason, error.metadata) == ("TICKET_WRONG_DESTINATION", {"service": "grocery-orders"})


async def test_health_and_reflection_know_the_contract_once(channel: grpc.aio.Channel) -> None:
    name = PROVIDER.descriptor.full_name
    health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    assert health.status == health_pb2.HealthCheckResponse.SERVING

    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    listed = [service.name async for answer in asked for service in answer.list_services_response.service]
    assert listed.count(name) == 1


# --- what a ticket claims


def test_a_ticket_claims_its_destination(keys: KeyRing) -> None:
    assert claimed_destination(TicketIssuer(keys, "order-state")("grocery-orders")) == "grocery-orders"
    assert claimed_destination(None) == ""


@given(st.text() | st.lists(st.text('abAB=_-{}"', max_size=20), min_size=3, max_size=3).map(".".join))
def test_what_is_no_ticket_claims_nothing(text: str) -> None:
    assert claimed_destination(text) == ""


jsons = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("dst"), parts, max_size=3)
    ),
    max_leaves=6,
)


@given(jsons)
def test_only_a_text_is_a_destination(claims: object) -> None:
    claimed = claims.get("dst") if isinstance(claims, dict) else None

    assert claimed_destination(unsigned(claims)) == (claimed if isinstance(claimed, str) else "")
