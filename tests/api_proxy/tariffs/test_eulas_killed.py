"""The real eulas is killed while riders call, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from ridehail_clients import AsyncEulasClient, EulaDecision, EulaState, ServiceError
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.api_proxy.proxy import Answered, Proxy, configure, requires, serving
from tests.support.ports import unused_port
from tests.support.served_process import kill, serve
from tests.support.waiting import until

TARIFFS = {"econom": requires("surge", "unknown", "rejected"), "econom_surge": requires("surge", "accepted")}
KNOWN = (["econom_surge"], {"econom": "eula_accepted"})
NOT_TOLD = (["econom"], {"econom_surge": "eulas_unavailable"})


@asynccontextmanager
async def asking(proxy: Proxy, responses: list[Answered]) -> AsyncIterator[None]:
    """Has riders call again and again for the length of the block; each gets a response within the contract's time."""
    ended = asyncio.Event()

    async def ask() -> None:
        while not ended.is_set():
            responses.append(await proxy.route_stats(*TARIFFS))
            await asyncio.sleep(0.03)

    async with asyncio.TaskGroup() as riders:
        for _ in range(4):
            riders.create_task(ask())
        yield
        ended.set()


async def test_no_rider_sees_an_error_when_eulas_is_killed(database_url: str, keys_dir: Path, config_dir: Path) -> None:
    configure(config_dir, TARIFFS, timeout_ms=150, retries=1)
    port = unused_port()
    address = f"127.0.0.1:{port}"

    def start() -> BaseProcess:
        return serve("eulas", port=port, database_url=database_url, keys_dir=keys_dir, config_dir=config_dir)

    async def is_known() -> bool:
        return told(await proxy.route_stats(*TARIFFS)) == KNOWN

    eulas, responses = start(), list[Answered]()
    try:
        async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=address) as proxy:
            async with AsyncEulasClient(address, ticket=TicketIssuer(KeyRing(keys_dir / "tickets"), "admin")) as admin:
                await until(lambda: is_saved(admin))
            await until(is_known)
            async with asking(proxy, responses):
                kill(eulas)
                await until(lambda: responses and told(responses[-1]) == NOT_TOLD)
                eulas = start()
                await until(is_known)
    finally:
        kill(eulas)
    assert all(told(response) in (KNOWN, NOT_TOLD) for response in responses)


def told(response: Answered) -> tuple[list[str], dict[str, str]]:
    return response.shown, response.hidden


async def is_saved(admin: AsyncEulasClient) -> bool:
    try:
        await admin.save_eulas(yandex_uid="uid", eulas=[EulaDecision("surge_il", EulaState.ACCEPTED)])
    except ServiceError:
        return False  # eulas is about to start
    return True
