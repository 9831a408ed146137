"""The first steps: an offer is saved, an order is saved by the task, the order is retrieved.

By grpcurl, by curl, by the client library; against `up`, and against separate processes with their own ports.
"""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ridehail_clients import OrderNotFound, TollRoadsClient, static_ticket
from ridehail_servers import resources
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.gateway.envoy_program import envoy_command
from ridehail_servers.runtime.data_dir import DataDir
from ridehail_servers.runtime.postgres import EmbeddedPostgres
from ridehail_servers.suite import AUTHORIZER, SERVICES, ticket_sources
from tests.support.command_line import ridehail
from tests.support.folders import shared_folder
from tests.support.grpcurl import Grpcurl, GrpcurlFailed
from tests.support.ports import unused_port
from tests.support.suite_in_process import suite_in_process
from tests.support.up import RunningCommand, cli, start
from tests.support.waiting import LIMIT_S, eventually, until

CREATED = "2026-11-20T12:00:00.123456Z"
TOLL_ROADS = "ridehail.tollroads.v1.TollRoadsService"


@dataclass
class Deployment:
    """Addresses of a suite, and its keys."""

    toll_roads: str
    internal_http: str
    data_dir: Path

    def ticket(self, source: str) -> str:
        return TicketIssuer(KeyRing(self.data_dir / "keys" / "tickets"), source)("toll-roads")


@pytest.fixture(scope="module", params=["up", "split"])
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A running suite of each form."""
    if request.param == "up":
        running: RunningCommand = request.getfixturevalue("demo_suite")
        yield Deployment(running.ready["grpc"], running.ready["internal_http"], running.data_dir)
        return
    with ExitStack() as stack:
        yield split(stack, stack.enter_context(shared_folder()) / "data")


def split(stack: ExitStack, data_dir: Path) -> Deployment:
    """Starts services in processes of their own, as an operator would, against an external Postgres."""
    DataDir(data_dir).ensure_keys(ticket_sources(resources.folder("config")))
    postgres = EmbeddedPostgres(data_dir / "postgres")
    url = postgres.start()
    stack.callback(postgres.stop)
    environment = {"RIDEHAIL_DATABASE_URL": url, "RIDEHAIL_DATA_DIR": str(data_dir)}
    migrated = cli("migrate", environment=environment)
    assert migrated.returncode == 0, migrated.stderr
    apart = ("toll-roads", "order-core", AUTHORIZER)
    groups = [*((name,) for name in apart), tuple(name for name in SERVICES if name not in apart)]
    ports = [unused_port() for _ in groups]
    addresses = {name: f"127.0.0.1:{port}" for group, port in zip(groups, ports, strict=True) for name in group}
    environment["RIDEHAIL_ADDRESSES"] = " ".join(f"{name}={address}" for name, address in addresses.items())
    running: list[RunningCommand] = []
    for group, port in zip(groups, ports, strict=True):
        words = ("serve", *group, "--grpc-port", str(port), "--metrics-port", "0", "--reflection")
        running.append(start(words, data_dir / f"{group[0]}.out", environment=environment))
        stack.callback(running[-1].stop)
    worker = start(["worker", "toll-roads", "--metrics-port", "0"], data_dir / "worker.out", environment=environment)
    stack.callback(worker.stop)
    internal_port = gateway(stack, data_dir, addresses)
    # All drain at once; one by one it would take most of a minute.
    for server in running:
        stack.callback(server.process.send_signal, signal.SIGINT)
    return Deployment(addresses["toll-roads"], f"127.0.0.1:{internal_port}", data_dir)


def gateway(stack: ExitStack, data_dir: Path, upstreams: dict[str, str]) -> int:
    """Starts Envoy with a rendered configuration, as an operator would; returns the internal listener's port."""
    public_port, internal_port, admin_port = (unused_port() for _ in range(3))
    addresses = [word for name, address in upstreams.items() for word in ("--address", f"{name}={address}")]
    ports = [*("--public-port", str(public_port)), *("--internal-port", str(internal_port))]
    ports += ["--admin-port", str(admin_port)]
    log = ["--set", f"access_log={data_dir / 'access.log'}"]
    file = data_dir / "envoy.yaml"
    rendered = ridehail(
        "gateway", "config", "--data-dir", str(data_dir), *addresses, *ports, *log, "--output", str(file)
    )
    assert rendered.returncode == 0, rendered.stderr
    assert file.stat().st_mode & 0o077 == 0
    envoy = subprocess.Popen([*envoy_command(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(envoy.wait, 20)
    stack.callback(envoy.terminate)
    url = f"http://127.0.0.1:{admin_port}/clusters"
    eventually(lambda: is_every_upstream_healthy(url), unless=OSError)
    return internal_port


def is_every_upstream_healthy(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=LIMIT_S) as answer:
        flags = [line for line in answer.read().decode().splitlines() if "::health_flags::" in line]
    return bool(flags) and all(line.endswith("::healthy") for line in flags)


def an_order(order_id: str, offer_id: str) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "created": CREATED,
        "offer_id": offer_id,
        "can_switch_road": True,
        "user_chose_toll_road": True,
        "yandex_uid": "4000000001",
    }


def test_by_grpcurl_with_reflection_and_a_ticket(deployment: Deployment, grpcurl_program: Grpcurl) -> None:
    services = grpcurl_program.run("-plaintext", deployment.toll_roads, "list").split()
    assert TOLL_ROADS in services
    assert "SaveOffer" in grpcurl_program.run("-plaintext", deployment.toll_roads, "describe", TOLL_ROADS)

    def call(method: str, body: dict[str, Any], *, source: str) -> dict[str, Any]:
        return grpcurl_program.call(
            deployment.toll_roads, f"{TOLL_ROADS}/{method}", body, ticket=deployment.ticket(source)
        )

    assert call("SaveOffer", {"offer_id": "grpcurl-offer"}, source="routestats") == {}
    assert call("EnqueueOrderSave", an_order("grpcurl-order", "grpcurl-offer"), source="processing") == {}
    answer = eventually(
        lambda: call("RetrieveOrder", {"order_id": "grpcurl-order"}, source="api-proxy"), unless=GrpcurlFailed
    )
    assert answer == {"has_toll_road": True, "can_switch_road": True, "created": CREATED}


def test_by_curl_on_the_internal_listener(deployment: Deployment) -> None:
    def curl(path: str, body: dict[str, Any], *, source: str) -> dict[str, Any]:
        words = ["curl", "--silent", "--show-error", f"http://{deployment.internal_http}{path}", "--data"]
        words += [json.dumps(body), "--header", f"x-ya-service-ticket: {deployment.ticket(source)}"]
        answer: dict[str, Any] = json.loads(
            subprocess.run(words, capture_output=True, check=True, timeout=LIMIT_S).stdout
        )
        return answer

    assert curl("/toll-roads/v1/offer", {"offer_id": "curl-offer"}, source="routestats") == {}
    # Reporting orders has no JSON form.
    ticket = static_ticket(deployment.ticket("processing"))
    with TollRoadsClient(deployment.toll_roads, ticket=ticket) as processing:
        processing.enqueue_order_save(
            order_id="curl-order",
            created=datetime.fromisoformat(CREATED),
            offer_id="curl-offer",
            can_switch_road=True,
            user_chose_toll_road=True,
            yandex_uid="4000000001",
        )

    def retrieve() -> dict[str, Any] | None:
        answer = curl("/toll-roads/v1/order/retrieve", {"order_id": "curl-order"}, source="api-proxy")
        return None if "code" in answer else answer

    assert eventually(retrieve) == {"has_toll_road": True, "can_switch_road": True, "created": CREATED}


def test_by_the_client_library(deployment: Deployment) -> None:
    def client(source: str) -> TollRoadsClient:
        return TollRoadsClient(deployment.toll_roads, ticket=lambda _destination: deployment.ticket(source))

    created = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    with client("routestats") as routestats, client("processing") as processing, client("api-proxy") as api_proxy:
        assert routestats.save_offer(offer_id="client-offer")
        processing.enqueue_order_save(
            order_id="client-order",
            created=created,
            offer_id="client-offer",
            can_switch_road=True,
            user_chose_toll_road=True,
            yandex_uid="4000000001",
        )
        road = eventually(lambda: api_proxy.retrieve_order(order_id="client-order"), unless=OrderNotFound)
    assert (road.has_toll_road, road.can_switch_road, road.created) == (True, True, created)


@pytest.mark.parametrize("name", SERVICES)
async def test_each_service_serves_by_itself(
    name: str, module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> None:
    running = suite_in_process(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, services=(name,)
    )
    async with running as suite, suite.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for contract in SERVICES[name].contracts:
            request = health_pb2.HealthCheckRequest(service=contract.descriptor.full_name)

            async def is_serving(request: health_pb2.HealthCheckRequest = request) -> bool:
                return bool((await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING)

            await until(is_serving)
        ((definition, service),) = suite.built.services
        assert definition.has_tasks == bool(service.tasks)
