"""Who may call what: every method of the suite, called by everybody who may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ridehail.common.v1 import options_pb2
from ridehail_clients import InvalidRequest
from ridehail_kernel.method_contracts import method_contract, service_audience
from ridehail_servers import resources, suite
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.config import ConfigError, load
from ridehail_servers.chassis.keys import KeyRing, create_key_pair
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.data_dir import write_secret
from ridehail_servers.runtime.supervisor import ChildSpec, StartFailed, Supervisor, child
from tests.support.calls import Metadata, Rpc, call, failure_of, rpcs
from tests.support.config_edits import edit
from tests.support.recorded_suite import RecordedSuite, recorded_suite
from tests.support.waiting import until

POLICY = load(resources.folder("config") / "access.yaml", AccessPolicy)
BY_TICKET = [rpc for rpc in rpcs() if not rpc.by_gateway_key]
BY_GATEWAY_KEY = [rpc for rpc in rpcs() if rpc.by_gateway_key]
SWITCH_ROAD = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
SAVE_OFFER = "/ridehail.tollroads.v1.TollRoadsService/SaveOffer"

Outcome = tuple[grpc.StatusCode, str, dict[str, str]]


def a_caller_of(rpc: Rpc) -> str:
    return min(POLICY.methods[rpc.name])


def others_than_callers_of(rpc: Rpc) -> list[str]:
    return sorted((POLICY.callers | set(suite.SERVICES)) - POLICY.methods[rpc.name])


async def outcomes(
    running: RecordedSuite, methods: list[Rpc], metadata: Callable[[Rpc], Metadata]
) -> dict[str, Outcome]:
    """Returns how each of the methods fails."""
    found: dict[str, Outcome] = {}
    for rpc in methods:
        error = await failure_of(running.channel, rpc.path, metadata=metadata(rpc))
        found[rpc.name] = (error.code, error.reason, dict(error.metadata))
    return found


# --- the contracts


def test_every_method_has_callers() -> None:
    for rpc in rpcs():
        assert POLICY.methods[rpc.name], rpc.name
        assert POLICY.methods[rpc.name] <= POLICY.callers, rpc.name


def test_every_method_of_ours_states_its_audience_and_its_deadlines() -> None:
    for rpc in BY_TICKET:
        contract = method_contract(rpc.method)
        assert 0 < contract.attempt_timeout <= contract.deadline <= 10, rpc.name
        audience = service_audience(rpc.method.containing_service)
        assert audience in {options_pb2.AUDIENCE_INTERNAL, options_pb2.AUDIENCE_PASSENGER}, rpc.name
        for_passengers = audience == options_pb2.AUDIENCE_PASSENGER
        assert for_passengers == (POLICY.methods[rpc.name] == {"gateway"}), rpc.name


def test_the_shipped_file_lists_no_method_that_nobody_serves() -> None:
    assert POLICY.methods.keys() == {rpc.name for rpc in rpcs()}


# --- callers who show what they should not


async def test_without_a_ticket_no_handler_is_reached(recorded_suite: RecordedSuite) -> None:
    found = await outcomes(recorded_suite, BY_TICKET, lambda _rpc: ())
    assert found == {rpc.name: (grpc.StatusCode.UNAUTHENTICATED, "TICKET_MISSING", {}) for rpc in BY_TICKET}
    assert recorded_suite.reached == []


@pytest.mark.parametrize("ticket", ["garbage", "a.b.c", "x" * 5000, "eyJhbGciOiJub25lIn0.e30."])
async def test_with_garbage_for_a_ticket_no_handler_is_reached(recorded_suite: RecordedSuite, ticket: str) -> None:
    found = await outcomes(recorded_suite, BY_TICKET, lambda _rpc: (("x-ya-service-ticket", ticket),))
    assert found == {rpc.name: (grpc.StatusCode.UNAUTHENTICATED, "TICKET_INVALID", {}) for rpc in BY_TICKET}
    assert recorded_suite.reached == []


async def test_with_an_expired_ticket_no_handler_is_reached(recorded_suite: RecordedSuite) -> None:
    found = await outcomes(
        recorded_suite,
        BY_TICKET,
        lambda rpc: recorded_suite.metadata(
            a_caller_of(rpc), rpc.service, clock=lambda: datetime.now(UTC) - timedelta(minutes=6)
        ),
    )
    assert found == {rpc.name: (grpc.StatusCode.UNAUTHENTICATED, "TICKET_EXPIRED", {}) for rpc in BY_TICKET}
    assert recorded_suite.reached == []


async def test_with_a_ticket_of_a_foreign_key_no_handler_is_reached(
    recorded_suite: RecordedSuite, tmp_path: Path
) -> None:
    for caller in map(a_caller_of, BY_TICKET):
        create_key_pair(tmp_path / "foreign" / caller, recorded_suite.keys.signing_key(caller)[0])
    foreign = KeyRing(tmp_path / "foreign")
    found = await outcomes(
        recorded_suite,
        BY_TICKET,
        lambda rpc: (("x-ya-service-ticket", TicketIssuer(foreign, a_caller_of(rpc))(rpc.service)),),
    )
    assert found == {rpc.name: (grpc.StatusCode.UNAUTHENTICATED, "TICKET_INVALID", {}) for rpc in BY_TICKET}
    assert recorded_suite.reached == []


async def test_with_a_ticket_for_another_service_no_handler_is_reached(recorded_suite: RecordedSuite) -> None:
    def another(rpc: Rpc) -> str:
        """Returns a service that does not serve the contract: another one that does would be meant."""
        serving = {one.service for one in BY_TICKET if one.name == rpc.name}
        return next(name for name in suite.SERVICES if name not in serving)

    found = await outcomes(
        recorded_suite, BY_TICKET, lambda rpc: recorded_suite.metadata(a_caller_of(rpc), another(rpc))
    )
    # Of services that share a contract the first one answers what is meant for none of them.
    answering = {rpc.name: rpc.service for rpc in reversed(BY_TICKET)}
    assert found == {
        name: (grpc.StatusCode.UNAUTHENTICATED, "TICKET_WRONG_DESTINATION", {"service": service})
        for name, service in answering.items()
    }
    assert recorded_suite.reached == []


async def test_a_caller_who_is_not_listed_reaches_no_handler(recorded_suite: RecordedSuite) -> None:
    for rpc in BY_TICKET:
        for caller in others_than_callers_of(rpc):
            metadata = (*recorded_suite.metadata(caller, rpc.service), ("x-yandex-uid", "uid"))
            error = await failure_of(recorded_suite.channel, rpc.path, metadata=metadata)
            assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
            assert error.metadata == {"caller": caller, "method": rpc.name}
    assert recorded_suite.reached == []


async def test_without_its_passenger_no_handler_of_a_passengers_method_is_reached(
    recorded_suite: RecordedSuite,
) -> None:
    for_passengers = [rpc for rpc in BY_TICKET if POLICY.methods[rpc.name] == {"gateway"}]
    assert for_passengers
    for rpc in for_passengers:
        issuer = TicketIssuer(recorded_suite.keys, "gateway")
        nobody, somebody = (
            (("x-ya-service-ticket", issuer.issue(rpc.service, passenger=passenger)),)
            for passenger in (None, Identity("uid"))
        )
        for metadata in (
            nobody,
            (*nobody, ("x-yataxi-userid", "user"), ("x-yataxi-phone-id", "phone")),
            (*nobody, ("x-yandex-uid", "")),
            *((*somebody, ("x-yandex-uid", claimed)) for claimed in ("another", "uid2", "UID", "ui", "")),
        ):
            error = await failure_of(recorded_suite.channel, rpc.path, metadata=metadata)
            assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "PASSENGER_MISSING"), rpc.name
            assert dict(error.metadata) == {}
    assert recorded_suite.reached == []


@pytest.mark.parametrize("key", [None, "", "wrong", "x" * 5000])
async def test_without_the_gateways_key_the_authorizer_is_not_reached(
    recorded_suite: RecordedSuite, key: str | None
) -> None:
    shown = () if key is None else (("x-ya-gateway-key", key),)
    found = await outcomes(
        recorded_suite, BY_GATEWAY_KEY, lambda rpc: (*recorded_suite.metadata("gateway", rpc.service), *shown)
    )
    assert found == {rpc.name: (grpc.StatusCode.UNAUTHENTICATED, "GATEWAY_KEY_INVALID", {}) for rpc in BY_GATEWAY_KEY}
    assert recorded_suite.reached == []


async def test_of_two_tickets_no_bad_one_hides_behind_a_good_one(recorded_suite: RecordedSuite) -> None:
    good = recorded_suite.metadata("routestats", "toll-roads")
    error = await failure_of(recorded_suite.channel, SAVE_OFFER, metadata=(*good, ("x-ya-service-ticket", "bad")))
    assert error.reason == "TICKET_INVALID"


# --- callers who may


async def test_every_listed_caller_reaches_the_handler_or_its_validation(recorded_suite: RecordedSuite) -> None:
    reached = []
    for rpc in BY_TICKET:
        for caller in sorted(POLICY.methods[rpc.name]):
            metadata = (*recorded_suite.metadata(caller, rpc.service), ("x-yandex-uid", "uid"))
            # An empty request breaks the rules of most contracts, which are checked after the caller is.
            with suppress(InvalidRequest):
                await call(recorded_suite.channel, rpc.path, metadata=metadata)
                reached.append(rpc.name)
    for rpc in BY_GATEWAY_KEY:
        await call(recorded_suite.channel, rpc.path, metadata=(("x-ya-gateway-key", recorded_suite.gateway_key),))
        reached.append(rpc.name)
    assert recorded_suite.reached == reached


async def test_health_and_reflection_are_open_to_all(recorded_suite: RecordedSuite) -> None:
    health = health_pb2_grpc.HealthStub(recorded_suite.channel)
    for contract in (it for definition in suite.SERVICES.values() for it in definition.contracts):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=contract.descriptor.full_name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(recorded_suite.channel)
    asked = reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    listed = {service.name async for answer in asked for service in answer.list_services_response.service}
    assert listed >= {rpc.method.containing_service.full_name for rpc in rpcs()}


# --- the file


def write_policy(folder: Path, policy: object) -> Path:
    file = folder / "access.yaml"
    file.write_text(yaml.safe_dump(policy))
    return file


def test_a_caller_that_nobody_has_heard_of_is_a_typing_error(tmp_path: Path) -> None:
    file = write_policy(tmp_path, {"callers": ["processing"], "methods": {"a.B/C": ["procesing"]}})
    with pytest.raises(ConfigError) as caught:
        load(file, AccessPolicy)
    assert caught.value.file == file
    assert "a.B/C" in caught.value.reason
    assert "'procesing' is not among `callers`" in caught.value.reason


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        ({"callers": ["a"], "methods": {}, "method": {}}, "method"),
        ({"callers": "a", "methods": {}}, "callers"),
        ({"methods": {}}, "callers"),
        ({"callers": []}, "methods"),
        ({"callers": ["a"], "methods": {"a.B/C": "a"}}, "methods.a.B/C"),
        ({"callers": ["a"], "methods": {"a.B/C": None}}, "methods.a.B/C"),
    ],
)
def test_a_misshapen_file_is_refused_by_key(tmp_path: Path, policy: object, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write_policy(tmp_path, policy), AccessPolicy)
    assert caught.value.key == key


@pytest.mark.integration
async def test_a_method_without_callers_stops_the_start(keys_dir: Path, config_dir: Path) -> None:
    shipped = (config_dir / "access.yaml").read_text()
    for rpc in {rpc.service: rpc for rpc in rpcs()}.values():  # one of each service
        (config_dir / "access.yaml").write_text(re.sub(rf"^  {re.escape(rpc.name)}: .*\n", "", shipped, flags=re.M))
        with pytest.raises(ConfigError, match=rf"access\.yaml: methods: {rpc.name} has no entry"):
            async with recorded_suite(keys_dir=keys_dir, config_dir=config_dir):
                pass


@pytest.mark.integration
async def test_a_process_that_cannot_start_says_why(keys_dir: Path, config_dir: Path) -> None:
    edit(config_dir / "access.yaml", {"methods": {"envoy.service.auth.v3.Authorization/Check": None}})
    settings = ProcessSettings(services=("passenger-authorizer",), config_dir=config_dir, keys_dir=keys_dir)
    supervisor = Supervisor()
    with pytest.raises(StartFailed, match=r"access\.yaml: methods: .*Authorization/Check has no entry"):
        await supervisor.start(child("serve-1", ChildSpec(role="serve", settings=settings), log=None))
    await supervisor.stop()


@pytest.mark.integration
@pytest.mark.parametrize("content", ["", " \n"])
async def test_an_empty_gateway_key_stops_the_start(
    keys_dir: Path, config_dir: Path, tmp_path: Path, content: str
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "tickets").symlink_to(keys_dir / "tickets")
    write_secret(keys / "gateway.key", content)
    with pytest.raises(Exception, match=r"gateway\.key must hold one secret a line"):
        async with recorded_suite(keys_dir=keys, config_dir=config_dir):
            pass


# --- edits of a running server


class Routestats:
    """Asks again and again whether it may save offers."""

    def __init__(self, running: RecordedSuite) -> None:
        self.running = running

    async def reason(self) -> str:
        metadata = self.running.metadata("routestats", "toll-roads")
        return (await failure_of(self.running.channel, SAVE_OFFER, metadata=metadata)).reason

    async def is_denied(self) -> bool:
        return await self.reason() == "CALLER_NOT_ALLOWED"

    async def is_allowed(self) -> bool:
        return await self.reason() == "INVALID_REQUEST"


async def test_a_caller_is_taken_off_the_list_and_put_back_without_a_restart(
    recorded_suite: RecordedSuite, module_config_dir: Path
) -> None:
    file, method, routestats = (
        module_config_dir / "access.yaml",
        SAVE_OFFER.removeprefix("/"),
        Routestats(recorded_suite),
    )
    shipped = file.read_text()
    assert await routestats.is_allowed()
    edit(file, {"methods": {method: ["processing"]}})
    await until(routestats.is_denied)
    edit(file, {"methods": {method: ["routestats"]}})
    await until(routestats.is_allowed)
    edit(file, {"methods": {method: []}})
    await until(routestats.is_denied)
    file.write_text(shipped)
    await until(routestats.is_allowed)


@pytest.mark.integration
async def test_nobody_but_the_gateway_speaks_for_passengers_even_when_the_file_says_so(
    keys_dir: Path, config_dir: Path
) -> None:
    edit(config_dir / "access.yaml", {"methods": {SWITCH_ROAD.removeprefix("/"): ["gateway", "admin"]}})
    async with recorded_suite(keys_dir=keys_dir, config_dir=config_dir) as running:
        metadata = (*running.metadata("admin", "toll-roads"), ("x-yandex-uid", "uid"))
        error = await failure_of(running.channel, SWITCH_ROAD, metadata=metadata)
    assert error.reason == "CALLER_NOT_ALLOWED"
