"""What holds for every RPC, read from its descriptor: its method, and what a call of it sends and makes of failures."""

from __future__ import annotations

import inspect
import time
from typing import Any

import grpc
import pytest

from ridehail._third_party.buf.validate import validate_pb2
from ridehail.common.v1 import options_pb2
from ridehail_clients import CallerNotAllowed, RetryPolicy, ServiceError
from ridehail_kernel.call_context import call_context
from ridehail_kernel.method_contracts import method_contract
from tests.clients.cases.all_cases import CASES
from tests.clients.flavours import REQUIRED, Flavour
from tests.clients.rpcs import Rpc, all_rpcs
from tests.clients.scripted_server import ScriptedServer, fail, info, reply

# What methods take beside the fields of the request: things that the client does by itself.
BESIDE_THE_FIELDS = {
    "TollRoadsService/RetrieveOrder": ["fallback"],
    "TaxiOnTheWayService/TaxiOnTheWay": ["fallback"],
    "UserStateService/UpdatePersonalState": ["mock"],
    "ProtocolService/UpdatePersonalState": ["mock"],
}
# Whom tickets are for, where it is not the client's name in another spelling.
DESTINATIONS = {
    "OrderProviderClient": "eats-orders",
    "InappCommunicationsClient": "inapp-communications",
    "UserDataClient": "eulas",
    "UserDataJobsClient": "user-data",
    "AdminEulasClient": "eulas",
}
AT_ONCE = RetryPolicy(initial_backoff_s=0)

RPCS = all_rpcs()
every_rpc = pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)


def test_every_rpc_has_a_case() -> None:
    assert {case.rpc for case in CASES} == {rpc.name for rpc in RPCS}


def test_a_client_has_no_method_beyond_the_rpcs(flavour: Flavour) -> None:
    for client in {rpc.client for rpc in RPCS}:
        public = {name for name, _ in inspect.getmembers(flavour.client_class(client), inspect.isfunction)}
        methods = {rpc.method for rpc in RPCS if rpc.client == client}
        assert {name for name in public if not name.startswith("_")} == methods | {"call", "close"}, client


@every_rpc
def test_a_method_takes_the_fields_of_the_request_as_keywords_and_says_what_it_does(rpc: Rpc, flavour: Flavour) -> None:
    method = getattr(flavour.client_class(rpc.client), rpc.method)
    parameters = dict(inspect.signature(method).parameters)
    del parameters["self"]

    fields = [field.name for field in rpc.descriptor.input_type.fields]
    assert list(parameters) == [*fields, *BESIDE_THE_FIELDS.get(rpc.name, []), "timeout", "metadata"]
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    for field in rpc.descriptor.input_type.fields:
        is_required = field.GetOptions().Extensions[validate_pb2.field].required
        if field.containing_oneof is not None and not is_required:
            assert parameters[field.name].default is None
    assert inspect.iscoroutinefunction(method) == (flavour.name == "asyncio")
    assert method.__doc__


class Calls:
    """Calls of one RPC, and what arrives of them."""

    def __init__(self, rpc: Rpc, flavour: Flavour, server: ScriptedServer) -> None:
        self.rpc, self.flavour, self.server = rpc, flavour, server

    async def __call__(self, *, timeout: float | None = None, **options: Any) -> float:
        """Makes a call; returns the time that its last attempt was given, for lack of a clock that stands still."""
        del self.server.received[:]
        arguments = self.rpc.example if timeout is None else self.rpc.example | {"timeout": timeout}
        channel = self.flavour.in_memory(self.server)
        options = {"attempt_timeout": None, "retry": AT_ONCE, **options}
        await self.flavour.call(channel, self.rpc.client, self.rpc.method, arguments, **options)
        return self.server.received[-1].time_remaining


def lasts(seconds: float, since: float) -> object:
    """Equals this time, less what has passed since a point in time."""
    passed = time.monotonic() - since
    return pytest.approx(seconds - passed / 2, abs=passed / 2 + 1e-6)


@every_rpc
async def test_a_call_has_the_time_of_its_contract(rpc: Rpc, flavour: Flavour, server: ScriptedServer) -> None:
    contract, calls, begun = method_contract(rpc.descriptor), Calls(rpc, flavour, server), time.monotonic()
    assert contract.path == f"/{rpc.descriptor.containing_service.full_name}/{rpc.descriptor.name}"
    assert 0 < contract.attempt_timeout <= contract.deadline

    def limited(seconds: float, attempt: float) -> object:
        return lasts(min(seconds, attempt) if contract.idempotent else seconds, begun)

    assert await calls() == limited(contract.deadline, contract.attempt_timeout)
    assert await calls(attempt_timeout=0.03) == limited(contract.deadline, 0.03)
    assert await calls(attempt_timeout=60) == limited(contract.deadline, 60)
    assert await calls(attempt_timeout=60, timeout=30) == limited(30, 60)
    with call_context(deadline=begun + 20):
        assert await calls(attempt_timeout=60, timeout=30) == limited(20, 60)


@every_rpc
async def test_a_call_says_who_calls_and_within_which_call(rpc: Rpc, flavour: Flavour, server: ScriptedServer) -> None:
    contract, calls = method_contract(rpc.descriptor), Calls(rpc, flavour, server)
    if contract.audience == options_pb2.AUDIENCE_PASSENGER:
        credentials: dict[str, Any] = {"session_token": "session"}
        expected = {"authorization": "Bearer session"}
    else:
        credentials = {"ticket": lambda destination: f"ticket for {destination}"}
        service = rpc.client.removesuffix("Client")
        kebab = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in service).lstrip("-")
        expected = {"x-ya-service-ticket": f"ticket for {DESTINATIONS.get(rpc.client, kebab)}"}

    with call_context(request_id="request-1"):
        await calls(**credentials)

    assert server.received[0].metadata == expected | {"x-request-id": "request-1"}
    assert type(server.received[0].request) is type(rpc.request({}))


@every_rpc
async def test_only_a_call_that_is_safe_to_repeat_is_repeated_and_a_reason_becomes_its_error(
    rpc: Rpc, flavour: Flavour, server: ScriptedServer
) -> None:
    calls, is_safe = Calls(rpc, flavour, server), method_contract(rpc.descriptor).idempotent
    refused = fail(grpc.StatusCode.PERMISSION_DENIED, info("CALLER_NOT_ALLOWED", caller="me", method="it"))
    server.script(fail(grpc.StatusCode.UNAVAILABLE), refused)

    with pytest.raises(CallerNotAllowed if is_safe else ServiceError):
        await calls()

    assert len(server.received) == (2 if is_safe else 1)
    server.script(refused, reply())
    with pytest.raises(CallerNotAllowed) as raised:
        await calls()
    assert (raised.value.code, dict(raised.value.metadata)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        {"caller": "me", "method": "it"},
    )
    assert len(server.received) == 1


@pytest.mark.parametrize("client", ["OrderProviderClient", "UserDataClient"])
def test_the_client_of_a_shared_contract_is_made_for_one_service(
    server: ScriptedServer, flavour: Flavour, client: str
) -> None:
    assert REQUIRED.keys() == {"OrderProviderClient", "UserDataClient"}
    with pytest.raises(TypeError, match="service"):
        flavour.client_class(client)(flavour.in_memory(server))
