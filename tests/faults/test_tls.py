"""With a folder of certificates every connection is encrypted, and both sides show who they are."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from ridehail_clients import (
    AsyncOrderCoreClient,
    AsyncTollRoadsClient,
    CallerNotAllowed,
    TransportUnavailable,
    open_async_channel,
    tls_from_dir,
)
from ridehail_servers import suite
from ridehail_servers.chassis import app
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.chassis.tls import TlsFiles, TlsFilesBad
from ridehail_servers.gateway.configuration import GatewaySettings, render, render_tls_secrets
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from ridehail_servers.runtime.metrics_port import MetricsAddress, metrics_port
from ridehail_servers.runtime.ports import reserve
from tests.gateway.envoy_process import RunningEnvoy, running_envoy
from tests.support.certificates import Authority, client_context, shown
from tests.support.config_edits import edit
from tests.support.log_capture import LogCapture
from tests.support.up import cli, up
from tests.support.waiting import LIMIT_S, until

RETRIEVE = "/toll-roads/v1/order/retrieve"
SWITCH = "/4.0/toll-roads/v1/order"
# Each is a process of its own in production.
TOGETHER = {"toll-roads": ("toll-roads", "passenger-authorizer"), "order-core": ("order-core",)}


@dataclass
class Harness:
    """Two servers with certificates, and an order that goes by a toll road."""

    authority: Authority
    folders: dict[str, Path]
    ports: dict[str, int]
    keys_dir: Path

    def ticket(self, source: str) -> TicketIssuer:
        return TicketIssuer(KeyRing(self.keys_dir / "tickets"), source)

    def channel(self, service: str, caller: str | None, *, server_name: str | None = None) -> grpc.aio.Channel:
        """Opens a channel to a service as somebody with a certificate, or, for None, in plain text."""
        return open_async_channel(
            f"127.0.0.1:{self.ports[service]}",
            credentials=None if caller is None else tls_from_dir(self.folders[caller]),
            server_name=server_name or (None if caller is None else service),
        )


@pytest.fixture(scope="module")
async def harness(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Harness]:
    # By offer, toll_roads asks order_core.
    edit(module_config_dir / "toll_roads.yaml", {"retrieve_by": "offer"})
    authority = Authority(tmp_path_factory.mktemp("tls"))
    folders = {name: authority.folder(name, *names) for name, names in TOGETHER.items()}
    for caller in ("api-proxy", "routestats", "admin"):
        folders[caller] = authority.folder(caller, caller)
    folders["gateway"] = authority.folder("gateway", "gateway", "127.0.0.1")
    folders["nobody"] = authority.folder("nobody", "nobody")
    for secret in ("cert.pem", "key.pem"):
        (folders["nobody"] / secret).unlink()
    async with AsyncExitStack() as stack:
        ports = {name: stack.enter_context(reserve("127.0.0.1", 0)).getsockname()[1] for name in TOGETHER}
        for name, services in TOGETHER.items():
            settings = ProcessSettings(
                services=services,
                grpc_port=ports[name],
                config_dir=module_config_dir,
                keys_dir=keys_dir,
                database_urls=dict.fromkeys(services, module_database_url),
                addresses={name: f"127.0.0.1:{port}" for name, port in ports.items()},
                drain_notice_s=0,
                tls_dir=folders[name],
            )
            definitions = [suite.SERVICES[service] for service in services]
            built = await stack.enter_async_context(app.build(definitions, settings))
            server = app.Server(built, settings)
            await server.start()
            stack.push_async_callback(server.drain)
        harness = Harness(authority, folders, ports, keys_dir)
        async with harness.channel("order-core", "admin") as channel:
            admin = AsyncOrderCoreClient(channel, ticket=harness.ticket("admin"))
            await admin.put_order(order_id="o1", yandex_uid="u1", document={"order": {"request": {"offer": "f1"}}})
        async with harness.channel("toll-roads", "routestats") as channel:
            await AsyncTollRoadsClient(channel, ticket=harness.ticket("routestats")).save_offer(offer_id="f1")
        yield harness


async def health(channel: grpc.aio.Channel) -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=LIMIT_S)
    return int(answer.status)


async def test_services_call_each_other_by_their_certificates(harness: Harness) -> None:
    async with harness.channel("toll-roads", "api-proxy") as channel:
        client = AsyncTollRoadsClient(channel, ticket=harness.ticket("api-proxy"))
        road = await client.retrieve_order(order_id="o1", timeout=10)
    assert road.has_toll_road


@pytest.mark.parametrize("caller", [None, "nobody"], ids=["plain text", "no certificate"])
async def test_who_shows_no_certificate_is_not_let_in(harness: Harness, caller: str | None) -> None:
    async with harness.channel("toll-roads", "admin") as channel:
        assert await health(channel) == health_pb2.HealthCheckResponse.SERVING
    async with harness.channel("toll-roads", caller) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health(channel)
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_is_not_the_called_service_gets_no_call(harness: Harness) -> None:
    async with harness.channel("order-core", "api-proxy", server_name="toll-roads") as channel:
        with pytest.raises(TransportUnavailable):
            await AsyncTollRoadsClient(channel, ticket=harness.ticket("api-proxy")).retrieve_order(order_id="o1")


async def test_a_ticket_is_worth_nothing_with_the_certificate_of_another(harness: Harness) -> None:
    async with harness.channel("toll-roads", "routestats") as channel:
        with pytest.raises(CallerNotAllowed, match="does not name api-proxy"):
            await AsyncTollRoadsClient(channel, ticket=harness.ticket("api-proxy")).retrieve_order(order_id="o1")


async def test_nobody_but_the_gateway_speaks_for_the_certificates_of_others(harness: Harness) -> None:
    async with harness.channel("toll-roads", "routestats") as channel:
        client = AsyncTollRoadsClient(channel, ticket=harness.ticket("api-proxy"))
        with pytest.raises(CallerNotAllowed, match="does not name api-proxy"):
            await client.retrieve_order(order_id="o1", metadata=[("x-forwarded-client-cert", "DNS=api-proxy")])


async def test_a_new_connection_gets_the_renewed_certificate(harness: Harness, log: LogCapture) -> None:
    folder, port = harness.folders["order-core"], harness.ports["order-core"]
    context = client_context(harness.folders["admin"])

    before = await asyncio.to_thread(shown, port, context)
    # An agent replaces one file after the other.
    harness.authority.renew(folder, "order-core", only_certificate=True)
    assert await asyncio.to_thread(shown, port, context) == before
    assert log.events("certificate not renewed: the old one stays")

    renewed = harness.authority.renew(folder, "order-core")
    assert await asyncio.to_thread(shown, port, context) == renewed != before
    async with harness.channel("order-core", "admin") as channel:
        assert await health(channel) == health_pb2.HealthCheckResponse.SERVING


async def test_metrics_are_encrypted_and_take_the_renewed_certificate(harness: Harness, tmp_path: Path) -> None:
    folder = harness.authority.folder("metrics", "127.0.0.1")
    context = client_context(folder, own=False)
    context.set_alpn_protocols(["http/1.1"])
    with metrics_port(MetricsAddress("127.0.0.1", 0, folder), tmp_path) as port:
        for _ in range(2):
            renewed = harness.authority.renew(folder, "127.0.0.1")
            assert await asyncio.to_thread(shown, port, context) == renewed
        status, body = await asyncio.to_thread(https, port, context, ("GET", "/metrics"))
    assert status == 200
    assert b"ridehail_metrics_files_skipped" in body


def https(
    port: int, context: ssl.SSLContext, request: tuple[str, str], body: Any = None, headers: Mapping[str, str] = {}
) -> tuple[int, bytes]:
    """Sends JSON to a method and path; returns status and body."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=LIMIT_S, context=context)
    try:
        connection.request(
            *request, None if body is None else json.dumps(body), {"content-type": "application/json", **headers}
        )
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def gateway(harness: Harness) -> Iterator[RunningEnvoy]:
    # Not under pytest's own folder: the path of a unix socket has 107 bytes.
    with TemporaryDirectory(prefix="gw-", dir="/tmp") as name:
        folder = Path(name)
        settings = GatewaySettings(
            public_port=0,
            internal_port=0,
            admin_socket=folder / "admin",
            upstreams={
                **dict.fromkeys(suite.SERVICES, f"127.0.0.1:{harness.ports['toll-roads']}"),
                "order-core": f"127.0.0.1:{harness.ports['order-core']}",
            },
            gateway_key=SecretStr((harness.keys_dir / "gateway.key").read_text().strip()),
            access_log=folder / "access.log",
            health_check_interval_s=0.2,
            tls_dir=harness.folders["gateway"],
            tls_secrets=folder,
        )
        for file, text in render_tls_secrets(settings).items():
            (folder / file).write_text(text)
        with running_envoy(render(settings, suite.SERVICES.values()), folder) as envoy:
            yield envoy


async def retrieved(harness: Harness, gateway: RunningEnvoy, certificate: str, **headers: str) -> tuple[int, Any]:
    """Asks for an order by JSON with a ticket of api-proxy."""
    context = client_context(harness.folders[certificate])
    context.set_alpn_protocols(["http/1.1"])
    sent = {"x-ya-service-ticket": harness.ticket("api-proxy")("toll-roads"), **headers}
    status, body = await asyncio.to_thread(
        https, gateway.internal.port, context, ("POST", RETRIEVE), {"order_id": "o1"}, sent
    )
    return status, json.loads(body)


async def test_the_gateway_passes_calls_and_the_certificates_of_its_clients_on(
    harness: Harness, gateway: RunningEnvoy
) -> None:
    async def answers() -> bool:  # not before its health checks have passed
        return (await retrieved(harness, gateway, "api-proxy"))[0] != 503

    await until(answers)
    status, answer = await retrieved(harness, gateway, "api-proxy")
    assert (status, answer["has_toll_road"]) == (200, True)
    forged = {"x-forwarded-client-cert": "DNS=api-proxy"}
    for headers in ({}, forged):
        status, answer = await retrieved(harness, gateway, "routestats", **headers)
        assert (status, answer["details"][0]["reason"]) == (403, "CALLER_NOT_ALLOWED")


async def test_the_internal_listener_wants_a_certificate_and_the_public_one_does_not(
    harness: Harness, gateway: RunningEnvoy
) -> None:
    session = issue_session_token(
        KeyRing(harness.keys_dir / "sessions"), yandex_uid="u1", ttl=timedelta(minutes=5), now=datetime.now(UTC)
    )
    context = client_context(harness.folders["nobody"], own=False)
    context.set_alpn_protocols(["http/1.1"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(https, gateway.internal.port, context, ("POST", RETRIEVE), {"order_id": "o1"})

    async def switched() -> tuple[int, bytes]:
        body = {"order_id": "unknown", "has_toll_road": True, "created": "2026-01-01T00:00:00Z"}
        headers = {"authorization": f"Bearer {session}"}
        return await asyncio.to_thread(https, gateway.public.port, context, ("POST", SWITCH), body, headers)

    async def answers() -> bool:
        return (await switched())[0] != 503

    await until(answers)
    status, answer = await switched()
    assert (status, json.loads(answer)["details"][0]["reason"]) == (404, "ORDER_NOT_FOUND"), answer


async def test_the_gateway_takes_the_renewed_certificate(harness: Harness, gateway: RunningEnvoy) -> None:
    renewed = harness.authority.renew(harness.folders["gateway"], "gateway", "127.0.0.1")
    context = client_context(harness.folders["nobody"], own=False)

    async def shows_it() -> bool:
        return await asyncio.to_thread(shown, gateway.public.port, context) == renewed

    await until(shows_it)


@pytest.mark.e2e
def test_up_encrypts_everything_by_certificates_of_its_own(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    running = up(data_dir, "--tls")
    try:
        context = client_context(data_dir / "tls")
        context.set_alpn_protocols(["http/1.1"])
        ports = {name: int(address.rpartition(":")[2]) for name, address in running.ready.items()}
        ticket = cli("ticket", "--data-dir", str(data_dir), "--src", "api-proxy", "--dst", "toll-roads").stdout.strip()
        status, answer = https(
            ports["internal_http"], context, ("POST", RETRIEVE), {"order_id": "o"}, {"x-ya-service-ticket": ticket}
        )
        assert (status, json.loads(answer)["details"][0]["reason"]) == (404, "ORDER_NOT_FOUND")
        assert https(ports["metrics"], context, ("GET", "/metrics"))[0] == 200
        for port in ports.values():
            assert shown(port, context)
    finally:
        assert running.stop() == 0


def test_a_folder_that_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for number, (name, content) in enumerate((("ca.pem", None), ("cert.pem", "no certificate"), ("key.pem", None))):
        folder = authority.folder(f"server-{number}", "server")
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_text(content)
        with pytest.raises(TlsFilesBad, match=folder.name):
            TlsFiles(folder)
    folder = authority.folder("readable", "server")
    (folder / "key.pem").chmod(0o644)
    with pytest.raises(TlsFilesBad, match="chmod 600"):
        TlsFiles(folder)
