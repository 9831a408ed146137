"""A rolling upgrade with a migration in between, under traffic: no call that is safe to repeat fails."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ridehail_clients import AsyncOrderCoreClient
from ridehail_servers import suite
from ridehail_servers.chassis import app, migrations
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.ports import reserve
from tests.support.config_edits import edit
from tests.support.databases import empty_database
from tests.support.waiting import LIMIT_S, until

SERVICE = suite.SERVICES["order-core"]
DOCUMENT = {"order": {"status": "driving"}}
EXPAND = """
ALTER TABLE order_core.orders ADD COLUMN noted text NOT NULL DEFAULT '';
CREATE INDEX orders_noted ON order_core.orders (noted);
"""


@dataclass
class Traffic:
    """Calls of a client that go on; how many ended well, and what went wrong."""

    done: int = 0
    failures: list[BaseException] = field(default_factory=list)

    async def goes_on(self, calls: int = 50) -> None:
        expected = self.done + calls
        await until(lambda: self.done >= expected)


@dataclass
class Process:
    """A server of one version."""

    stack: AsyncExitStack
    server: app.Server
    built: app.Built

    @property
    def is_ready(self) -> bool:
        return all(storage.database.not_ready is None for storage in self.built.storages.values())

    async def stop(self) -> None:
        await self.server.drain()
        await self.stack.aclose()


async def started(definition: ServiceDefinition, settings: ProcessSettings) -> Process:
    stack = AsyncExitStack()
    built = await stack.enter_async_context(app.build([definition], settings))
    server = app.Server(built, settings)
    await server.start()
    return Process(stack, server, built)


@asynccontextmanager
async def traffic(client: AsyncOrderCoreClient) -> AsyncIterator[Traffic]:
    """Reads and repeatable writes from four callers for the length of the block."""
    found = Traffic()
    over = asyncio.Event()

    async def call(caller: int) -> None:
        while not over.is_set():
            try:
                if caller % 2:
                    await client.get_order_info(order_id="order", timeout=LIMIT_S)
                else:
                    await client.put_order(
                        order_id=f"order-{caller}", yandex_uid="1", document=DOCUMENT, timeout=LIMIT_S
                    )
                found.done += 1
            except Exception as error:  # whatever it is, it is what the test is about
                found.failures.append(error)

    callers = [asyncio.create_task(call(number)) for number in range(4)]
    try:
        yield found
    finally:
        over.set()
        await asyncio.gather(*callers)


async def test_no_call_that_is_safe_to_repeat_fails_while_schema_and_processes_are_upgraded(
    postgres_url: str, keys_dir: Path, config_dir: Path, tmp_path: Path
) -> None:
    edit(config_dir / "server.yaml", {"drain_notice_s": 0.3})
    before = Path(shutil.copytree(SERVICE.migrations_folder, tmp_path / "before"))
    after = Path(shutil.copytree(before, tmp_path / "after"))
    (after / "9999.expand.sql").write_text(EXPAND)
    old, new = (dataclasses.replace(SERVICE, migrations=str(folder)) for folder in (before, after))
    with ExitStack() as ports, empty_database(postgres_url) as url:
        migrations.migrate(url, "order_core", before)
        numbers = [ports.enter_context(reserve("127.0.0.1", 0)).getsockname()[1] for _ in range(2)]
        first, second = (
            ProcessSettings(
                services=("order-core",),
                grpc_port=number,
                config_dir=config_dir,
                keys_dir=keys_dir,
                database_urls={"order-core": url},
            )
            for number in numbers
        )
        running = [await started(old, first), await started(old, second)]
        target = "ipv4:" + ",".join(f"127.0.0.1:{number}" for number in numbers)
        ticket = TicketIssuer(KeyRing(keys_dir / "tickets"), "admin")
        async with AsyncOrderCoreClient(target, ticket=ticket) as client:
            await client.put_order(order_id="order", yandex_uid="1", document={})
            async with traffic(client) as calls:
                await calls.goes_on()

                # One of the new version comes too early: it waits, and gets no calls.
                await running[0].stop()
                running[0] = await started(new, first)
                await calls.goes_on()
                assert not running[0].is_ready

                await asyncio.to_thread(migrations.migrate, url, "order_core", after)
                await until(lambda: running[0].is_ready)
                await calls.goes_on()

                await running[1].stop()
                running[1] = await started(new, second)
                await calls.goes_on(200)
                assert all(process.is_ready for process in running)
        for process in running:
            await process.stop()
    assert Counter(map(repr, calls.failures)) == {}
    assert calls.done >= 350
