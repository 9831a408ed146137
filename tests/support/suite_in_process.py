"""Services of the suite in the test's own event loop: real Postgres, real channels, all interceptors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc
import psycopg

from ridehail_servers import suite
from ridehail_servers.chassis import app
from ridehail_servers.chassis.clock import Clock, system_clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tasks import TaskQueue
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.ports import reserve
from tests.support import databases


@dataclass
class SuiteInProcess:
    address: str
    database_url: str
    settings: ProcessSettings
    built: app.Built
    keys: KeyRing
    _owners: list[psycopg.AsyncConnection] = field(default_factory=list)
    _emptying: psycopg.Connection | None = None

    def ticket(self, source: str) -> Callable[[str], str]:
        """Returns a ticket source for the client library."""
        return TicketIssuer(self.keys, source)

    def metadata(
        self, source: str, destination: str, uid: str | None = None, **stated: str
    ) -> tuple[tuple[str, str], ...]:
        """Returns the metadata of a raw call, for a passenger if `uid` is given."""
        passenger = None if uid is None else Identity(uid, **stated)
        issuer = TicketIssuer(self.keys, source, ttl=timedelta(minutes=5))
        return (("x-ya-service-ticket", issuer.issue(destination, passenger=passenger)),)

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address)

    def database(self, service: str) -> Database:
        """Returns a service's own pool."""
        return self.built.storages[service].database

    async def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """Returns what a query finds, as the database's owner."""
        cursor = await (await self._owner()).execute(query.encode(), parameters)
        return await cursor.fetchall()

    async def execute(self, query: str, *parameters: object) -> None:
        """Runs a statement as the database's owner."""
        await (await self._owner()).execute(query.encode(), parameters)

    async def close(self) -> None:
        for connection in self._owners:
            await connection.close()
        if self._emptying is not None:
            self._emptying.close()

    async def _owner(self) -> psycopg.AsyncConnection:
        """Returns a working connection of the database's owner, which stays open until the suite ends."""
        for connection in self._owners:
            with suppress(psycopg.OperationalError):
                await connection.execute("SELECT")
                return connection
        # A test may change what a prepared statement is about.
        self._owners.append(
            await psycopg.AsyncConnection.connect(self.database_url, autocommit=True, prepare_threshold=None)
        )
        return self._owners[-1]

    async def empty_tables(self) -> None:
        await asyncio.to_thread(self._empty)

    def _empty(self) -> None:
        # The session stays: a new one would have to learn what tables there are, for every test.
        if self._emptying is not None:
            with suppress(psycopg.OperationalError):
                return databases.empty_tables(self._emptying)
        self._emptying = psycopg.connect(self.database_url, autocommit=True)
        return databases.empty_tables(self._emptying)

    @asynccontextmanager
    async def altered(self, statement: str, back: str) -> AsyncIterator[None]:
        """Changes a schema for the length of the block; `back` reverts `statement`."""
        await self.execute(statement)
        try:
            yield
        finally:
            await self.execute(back)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Runs the background tasks of all services for the length of the block."""
        stop = asyncio.Event()
        workers = [
            asyncio.create_task(
                # As in a process of its own: a queue registers its tasks once.
                TaskQueue(definition.name, self.database(definition.name)).run_worker(
                    service.tasks, self.built.tuning.tasks, stop=stop
                )
            )
            for definition, service in self.built.services
            if service.tasks
        ]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*workers)


@asynccontextmanager
async def suite_in_process(
    *,
    database_url: str,
    keys_dir: Path,
    config_dir: Path,
    services: Sequence[str | ServiceDefinition] = tuple(suite.SERVICES),
    addresses: dict[str, str] | None = None,
    clock: Clock = system_clock,
    port: int = 0,
    cache_url: str | None = None,
) -> AsyncIterator[SuiteInProcess]:
    """Runs services, by name or by definition, for the length of the block; port 0 is any free one."""
    with reserve("127.0.0.1", port) as reserved:
        port = reserved.getsockname()[1]
        address = f"127.0.0.1:{port}"
        definitions = [suite.SERVICES[it] if isinstance(it, str) else it for it in services]
        names = tuple(definition.name for definition in definitions)
        settings = ProcessSettings(
            services=names,
            grpc_port=port,
            config_dir=config_dir,
            keys_dir=keys_dir,
            database_urls=dict.fromkeys(names, database_url),
            addresses={**dict.fromkeys(suite.SERVICES, address), **(addresses or {})},
            cache_url=cache_url,
            drain_notice_s=0,
        )
        async with app.build(definitions, settings, clock=clock) as built:
            server = app.Server(built, settings, clock=clock)
            await server.start()
            running = SuiteInProcess(address, database_url, settings, built, KeyRing(keys_dir / "tickets"))
            try:
                yield running
            finally:
                await server.drain()
                await running.close()
