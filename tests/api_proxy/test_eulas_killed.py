"""The real eulas is killed while riders ask, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ridehail_clients import AsyncEulasClient, EulaDecision, EulaState
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.ports import free_port
from tests.api_proxy.proxy import Answered, Proxy, configure, requires, serving
from tests.support import up
from tests.support.waiting import until

TIMEOUT_MS, RETRIES = 150, 1
BOUND_S = TIMEOUT_MS / 1000 * (RETRIES + 1)
# Of a busy machine: this process serves, asks as eight riders, and shares its processors.
SLACK_S = 1.0
TARIFFS = {"econom": requires("surge", "unknown", "rejected"), "econom_surge": requires("surge", "accepted")}
KNOWN = Answered(shown=["econom_surge"], hidden={"econom": "eula_accepted"}, seconds=0)
NOT_TOLD = Answered(shown=["econom"], hidden={"econom_surge": "eulas_unavailable"}, seconds=0)


@asynccontextmanager
async def asking(proxy: Proxy, answers: list[Answered]) -> AsyncIterator[None]:
    """Has eight riders ask again and again for the length of the block."""
    ended = asyncio.Event()

    async def ask() -> None:
        while not ended.is_set():
            answers.append(await proxy.route_stats(*TARIFFS))
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as riders:
        for _ in range(8):
            riders.create_task(ask())
        yield
        ended.set()


def kill(command: up.RunningCommand) -> None:
    """Kills a command and all that it has started with signal 9."""
    for pid in [*(one.pid for one in command.descendants()), command.process.pid]:
        os.kill(pid, signal.SIGKILL)
    command.process.wait()


@pytest.mark.timeout(120)
async def test_no_rider_sees_an_error_when_eulas_is_killed(
    database_url: str, keys_dir: Path, config_dir: Path, tmp_path: Path
) -> None:
    configure(config_dir, TARIFFS, timeout_ms=TIMEOUT_MS, retries=RETRIES)
    address = f"127.0.0.1:{free_port('127.0.0.1', 0)}"
    words = [
        *("serve", "eulas", "--grpc-port", address.rpartition(":")[2], "--metrics-port", "0"),
        *("--database-url", database_url, "--keys-dir", str(keys_dir), "--config-dir", str(config_dir)),
    ]

    async def start() -> up.RunningCommand:
        return await asyncio.to_thread(up.start, words, tmp_path / "eulas.out")

    async def is_known() -> bool:
        return _is(KNOWN, await proxy.route_stats(*TARIFFS))

    eulas = await start()
    try:
        async with AsyncEulasClient(address, ticket=TicketIssuer(KeyRing(keys_dir / "tickets"), "admin")) as admin:
            await admin.save_eulas(yandex_uid="uid", eulas=[EulaDecision("surge_il", EulaState.ACCEPTED)])
        answers: list[Answered] = []
        async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=address) as proxy:
            await until(is_known)
            async with asking(proxy, answers):
                for _ in range(2):
                    kill(eulas)
                    await until(lambda: _is(NOT_TOLD, answers[-1]) if answers else False)
                    eulas = await start()
                    await until(is_known, within=20)
    finally:
        kill(eulas)
    assert all(_is(KNOWN, answer) or _is(NOT_TOLD, answer) for answer in answers)
    assert any(_is(KNOWN, answer) for answer in answers)
    assert max(answer.seconds for answer in answers) < BOUND_S + SLACK_S


def _is(expected: Answered, answer: Answered) -> bool:
    return (answer.shown, answer.hidden) == (expected.shown, expected.hidden)
