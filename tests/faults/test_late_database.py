"""Servers and workers start before their database: they say what is missing, and work once it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ridehail_clients import (
    AsyncOrderCoreClient,
    AsyncOrderProviderClient,
    AsyncTollRoadsClient,
    DatabaseUnavailable,
    OrderNotFound,
)
from ridehail_servers import suite
from ridehail_servers.chassis import app
from ridehail_servers.chassis.health_names import REASON_KEY
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime import child
from ridehail_servers.runtime.supervisor import ChildSpec
from tests.support.command_line import ridehail
from tests.support.config_edits import edit
from tests.support.log_capture import LogCapture
from tests.support.tcp_proxy import Mode, postgres_target, tcp_proxy, through
from tests.support.waiting import until

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
ORDER_PROVIDER = "ridehail.orderprovider.v1.OrderProviderService"
ORDER_CORE, TOLL_ROADS = "ridehail.ordercore.v1.OrderCoreService", "ridehail.tollroads.v1.TollRoadsService"


RECORD = "INSERT INTO order_core._yoyo_migration (migration_hash, migration_id) VALUES (md5(%s), %s)"


@dataclass(frozen=True, slots=True)
class Served:
    channel: grpc.aio.Channel
    address: str

    async def health(self, name: str) -> tuple[int, str]:
        """Returns the status of a name, and the reason."""
        call = health_pb2_grpc.HealthStub(self.channel).Check(health_pb2.HealthCheckRequest(service=name))
        return (await call).status, dict(await call.trailing_metadata()).get(REASON_KEY, "")

    async def wait_until_served(self, *names: str) -> None:
        async def all_serve() -> bool:
            return [await self.health(name) for name in names] == [(SERVING, "")] * len(names)

        await until(all_serve)


@asynccontextmanager
async def served(settings: ProcessSettings) -> AsyncIterator[Served]:
    async with app.build([suite.SERVICES[name] for name in settings.services], settings) as built:
        server = app.Server(built, settings)
        port = await server.start()
        try:
            address = f"127.0.0.1:{port}"
            async with grpc.aio.insecure_channel(address) as channel:
                yield Served(channel, address)
        finally:
            await server.drain()


@pytest.fixture
def quick_config_dir(config_dir: Path) -> Path:
    edit(config_dir / "server.yaml", {"drain_notice_s": 0, "drain_quiet_s": 0})
    return config_dir


async def test_server_and_worker_start_while_postgres_is_away(
    database_url: str, keys_dir: Path, quick_config_dir: Path, log: LogCapture
) -> None:
    with tcp_proxy(postgres_target(database_url)) as proxy:
        proxy.set(Mode.REFUSE)
        settings = ProcessSettings(
            services=("toll-roads",),
            config_dir=quick_config_dir,
            keys_dir=keys_dir,
            database_urls={"toll-roads": through(proxy, database_url)},
            addresses={"order-core": "127.0.0.1:1"},
        )
        stop = asyncio.Event()
        worker = asyncio.create_task(child.run(ChildSpec(role="work", settings=settings), stop))
        async with served(settings) as server:
            reason = "the database of schema toll_roads cannot be reached"
            assert await server.health("liveness") == (SERVING, "")
            assert await server.health("") == (NOT_SERVING, reason)
            assert await server.health(TOLL_ROADS) == (NOT_SERVING, reason)
            assert {"service.name": "toll-roads", "reason": reason}.items() <= log.events("not ready")[0].items()
            issuer = TicketIssuer(KeyRing(keys_dir / "tickets"), "processing")
            client = AsyncTollRoadsClient(server.channel, ticket=issuer)

            async def report() -> None:
                created = datetime(2026, 11, 20, tzinfo=UTC)
                await client.enqueue_order_save(
                    order_id="early", created=created, can_switch_road=False, user_chose_toll_road=False, yandex_uid="1"
                )

            with pytest.raises(DatabaseUnavailable):
                await report()

            proxy.set(Mode.PASS)
            await server.wait_until_served("", TOLL_ROADS)
            await report()
            reader = AsyncTollRoadsClient(
                server.channel, ticket=TicketIssuer(KeyRing(keys_dir / "tickets"), "api-proxy")
            )

            async def is_saved_by_the_worker() -> bool:
                try:
                    return bool(await reader.retrieve_order(order_id="early"))
                except OrderNotFound:
                    return False

            await until(is_saved_by_the_worker)

            # A database that is lost later leaves balancers alone, see docs/operations.md.
            proxy.set(Mode.REFUSE)
            await asyncio.sleep(0)
            assert await server.health("") == (SERVING, "")
            proxy.set(Mode.PASS)
        stop.set()
        await worker


async def test_a_probe_on_the_machine_reports_whether_the_server_lives_and_serves_and_why_not(
    database_url: str, keys_dir: Path, quick_config_dir: Path
) -> None:
    with tcp_proxy(postgres_target(database_url)) as proxy:
        proxy.set(Mode.REFUSE)
        urls = {"order-core": through(proxy, database_url)}
        settings = ProcessSettings(
            services=("order-core",), config_dir=quick_config_dir, keys_dir=keys_dir, database_urls=urls
        )
        async with served(settings) as server:

            async def probe(*words: str) -> tuple[int, str]:
                # In a thread: the server runs in this one's loop.
                ended = await asyncio.to_thread(
                    ridehail, "health", "order-core", "--grpc-port", server.address.rpartition(":")[2], *words
                )
                return ended.returncode, ended.stderr.partition(" is not serving: ")[2]

            assert await probe("--liveness") == (0, "")
            assert await probe() == (1, "the database of schema order_core cannot be reached\n")
            proxy.set(Mode.PASS)
            await server.wait_until_served("")
            assert await probe() == (0, "")


async def test_a_schema_that_lacks_a_migration_is_waited_for_and_named(
    database_url: str, keys_dir: Path, quick_config_dir: Path, log: LogCapture
) -> None:
    settings = ProcessSettings(
        services=("order-core",),
        config_dir=quick_config_dir,
        keys_dir=keys_dir,
        database_urls={"order-core": database_url},
    )
    with psycopg.connect(database_url, autocommit=True) as owner:
        applied = owner.execute("DELETE FROM order_core._yoyo_migration RETURNING migration_id").fetchall()
        first, *others = sorted(name for (name,) in applied)
        more = f" and {len(others)} more" if others else ""
        reason = f"schema order_core lacks migration {first}{more}: run `ridehail migrate`"
        async with served(settings) as server:
            assert await server.health("") == await server.health(ORDER_CORE) == (NOT_SERVING, reason)
            assert log.events("not ready")[0]["reason"] == log.events("database unreachable")[0]["reason"] == reason
            client = AsyncOrderCoreClient(server.channel, ticket=TicketIssuer(KeyRing(keys_dir / "tickets"), "admin"))
            with pytest.raises(DatabaseUnavailable):
                await client.get_order_info(order_id="nobody's")
            for name in (first, *others):
                owner.execute(RECORD, (name, name))
            await server.wait_until_served("", ORDER_CORE)


async def test_a_service_whose_schema_lags_keeps_no_other_of_its_process_from_serving(
    database_url: str, keys_dir: Path, quick_config_dir: Path
) -> None:
    settings = ProcessSettings(
        services=("order-core", "eats-orders"),
        config_dir=quick_config_dir,
        keys_dir=keys_dir,
        database_urls=dict.fromkeys(("order-core", "eats-orders"), database_url),
    )
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("DELETE FROM order_core._yoyo_migration")
        async with served(settings) as server:
            status, reason = await server.health(ORDER_CORE)
            assert (status, reason.partition(" migration ")[0]) == (NOT_SERVING, "schema order_core lacks")
            await server.wait_until_served("", ORDER_PROVIDER)
            # By a channel that asks for the health of the process, as the client library's do.
            keys = KeyRing(keys_dir / "tickets")
            async with AsyncOrderProviderClient(
                server.address, ticket=TicketIssuer(keys, "order-state"), service="eats-orders"
            ) as client:
                assert (await client.list_active_orders(yandex_uid="1")).orders == ()
            async with AsyncOrderCoreClient(server.address, ticket=TicketIssuer(keys, "admin")) as client:
                with pytest.raises(DatabaseUnavailable):
                    await client.get_order_info(order_id="nobody's")


async def test_a_schema_that_is_ahead_is_served(database_url: str, keys_dir: Path, quick_config_dir: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(RECORD, ("9999.later", "9999.later"))
    settings = ProcessSettings(
        services=("order-core",),
        config_dir=quick_config_dir,
        keys_dir=keys_dir,
        database_urls={"order-core": database_url},
    )
    async with served(settings) as server:
        await server.wait_until_served("", ORDER_CORE)


async def test_a_schema_that_was_never_migrated_is_waited_for(
    database_url: str, keys_dir: Path, quick_config_dir: Path
) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("DROP SCHEMA order_core CASCADE")
    settings = ProcessSettings(
        services=("order-core",),
        config_dir=quick_config_dir,
        keys_dir=keys_dir,
        database_urls={"order-core": database_url},
    )
    async with served(settings) as server:
        status, reason = await server.health("")
        assert (status, reason.partition(" migration ")[0]) == (NOT_SERVING, "schema order_core lacks")
