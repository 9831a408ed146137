"""Health tells the truth: of the process, of each contract, and of a loop that is stuck."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ridehail_servers import suite
from ridehail_servers.chassis import app
from ridehail_servers.chassis.health import Watchdog
from ridehail_servers.chassis.settings import ProcessSettings
from tests.support.config_edits import edit
from tests.support.tcp_proxy import Mode, postgres_target, tcp_proxy, through
from tests.support.waiting import LIMIT_S, until

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
ORDER_CORE = "ridehail.ordercore.v1.OrderCoreService"
FAMILY = "ridehail.family.v1.FamilyService"
NAMES = ("liveness", "", ORDER_CORE, FAMILY)
ALL_SERVE = dict.fromkeys(NAMES, SERVING)


async def reported(stub: health_pb2_grpc.HealthStub) -> dict[str, int]:
    return {name: (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in NAMES}


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.RESET])
async def test_a_contract_whose_database_is_away_is_not_served_and_nothing_else_changes(
    database_url: str, keys_dir: Path, config_dir: Path, mode: Mode
) -> None:
    edit(config_dir / "server.yaml", {"database_away_s": 0.2, "drain_notice_s": 2})
    with tcp_proxy(postgres_target(database_url)) as proxy:
        proxy.set(Mode.PASS)
        settings = ProcessSettings(
            services=("order-core", "family"),
            config_dir=config_dir,
            keys_dir=keys_dir,
            database_urls={"order-core": through(proxy, database_url), "family": database_url},
            addresses={"route-sharing": "127.0.0.1:1"},
        )
        async with app.build([suite.SERVICES[name] for name in settings.services], settings) as built:
            server = app.Server(built, settings)
            port = await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                assert await reported(stub) == ALL_SERVE

                proxy.set(mode)

                async def is_not_served() -> bool:
                    return bool((await reported(stub))[ORDER_CORE] == NOT_SERVING)

                await until(is_not_served)
                assert await reported(stub) == ALL_SERVE | {ORDER_CORE: NOT_SERVING}

                proxy.set(Mode.PASS)

                async def all_serve() -> bool:
                    return await reported(stub) == ALL_SERVE

                await until(all_serve)

                draining = asyncio.create_task(server.drain())

                async def drains() -> bool:
                    return await reported(stub) == dict.fromkeys(NAMES, NOT_SERVING) | {"liveness": SERVING}

                await until(drains)
                await draining


def test_a_loop_is_stuck_after_so_many_looks_without_a_sign_of_life() -> None:
    found: list[str] = []
    watchdog = Watchdog(2.0, lambda: found.append("stuck"))
    for _ in range(3):
        for _ in range(3):
            watchdog.look()
        watchdog.beat()
    assert found == []

    for _ in range(10):
        watchdog.look()
    assert found == ["stuck"]


STUCK = """
import asyncio, threading
from ridehail_servers.chassis import logs
from ridehail_servers.chassis.health import ends_when_stuck

async def main():
    with ends_when_stuck(2.0):
        await asyncio.sleep(2.5)  # a loop that waits is not stuck
        print("waited", flush=True)
        this_never_returns()

def this_never_returns():
    threading.Event().wait(60)

logs.configure(service="stuck")
asyncio.run(main())
"""


@pytest.mark.integration
def test_a_process_whose_loop_is_stuck_ends_and_says_where() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=LIMIT_S, check=False)

    assert (ended.returncode, ended.stdout) == (70, "waited\n"), ended.stderr
    (line,) = [json.loads(it) for it in ended.stderr.splitlines() if "event loop stuck" in it]
    assert "this_never_returns" in line["stack"][-3] + line["stack"][-2] + line["stack"][-1]
