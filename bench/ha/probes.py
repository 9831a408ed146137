"""What else has to work after a fault: tasks, followers of changes, and that an old leader acknowledges nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

import psycopg

from bench.chaos.calls import found_in
from ridehail_clients import (
    Agreement,
    AsyncAdminEulasClient,
    AsyncEulasClient,
    EulaFilter,
    EulasInFile,
    EulaVersionConflict,
    ServiceError,
)
from ridehail_servers.chassis.database import connection_string
from ridehail_servers.chassis.database_connection import BoundedConnection
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.chassis.tickets import TicketIssuer

from .traffic import WriteStream

_AGAIN_S: Final = 0.2
_HANGS_S: Final = 2.0
_ACTOR: Final = "ha"
_AGREEMENT: Final = "ha_probe"


class CatalogueProbe:
    """Changes an agreement again and again, and notes when the servers list each change."""

    def __init__(self, address: str, tickets: KeyRing) -> None:
        self._address = address
        self._ticket = TicketIssuer(tickets, "admin")
        self._changes = 0
        self.seen: list[float] = []

    async def run(self) -> None:
        """Creates the agreement and changes it, until cancelled."""
        async with (
            AsyncAdminEulasClient(self._address, ticket=self._ticket) as admin,
            AsyncEulasClient(self._address, ticket=self._ticket) as eulas,
        ):
            await admin.import_eulas(actor=_ACTOR)
            version = await self._created(admin)
            while True:
                self._changes += 1
                try:
                    record = await admin.update_eula(
                        agreement=self._agreement(), expected_version=version, actor=_ACTOR
                    )
                    version = record.version
                    while not await self._is_listed(eulas):
                        await asyncio.sleep(_AGAIN_S)
                    self.seen.append(time.time())
                except EulaVersionConflict as conflict:  # the change before this one went through after all
                    version = int(conflict.metadata["current_version"])
                except ServiceError:
                    pass
                await asyncio.sleep(_AGAIN_S)

    async def _created(self, admin: AsyncAdminEulasClient) -> int:
        while True:
            try:
                return (await admin.create_eula(agreement=self._agreement(), actor=_ACTOR)).version
            except EulasInFile:  # until the servers have seen the import
                await asyncio.sleep(_AGAIN_S)

    async def _is_listed(self, eulas: AsyncEulasClient) -> bool:
        listed = await eulas.list_eulas(yandex_uid="1", filter=EulaFilter.UNKNOWN, zone_name="moscow")
        return any(it.title == self._title for it in listed)

    @property
    def _title(self) -> str:
        return f"change {self._changes}"

    def _agreement(self) -> Agreement:
        title = dict.fromkeys(("en", "he", "ru"), self._title)
        return Agreement(eula_id=_AGREEMENT, type="ha", revision=1, ttl_s=1000, rejectable=True, title=title)


class TaskProbe:
    """Notes when each task was done."""

    def __init__(self, tasks: WriteStream, url: str) -> None:
        self._tasks = tasks
        self._url = url
        self.done: dict[str, float] = {}

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        while True:
            with suppress(psycopg.Error):  # there is no leader, or it hangs
                connection = await BoundedConnection.connect(self._url, autocommit=True)
                connection.max_statement_s = _HANGS_S
                async with connection:
                    cursor = await connection.execute(self._tasks.written.encode())
                    for (key,) in await cursor.fetchall():
                        self.done.setdefault(key, time.time())
            await asyncio.sleep(_AGAIN_S)

    def first_done(self, since: float) -> float | None:
        """Returns when the first task was done of those that were acknowledged later than this."""
        acknowledged = self._tasks.acknowledged_at
        return min((at for key, at in self.done.items() if acknowledged.get(key, 0.0) >= since), default=None)


class StaleWriter:
    """A connection to the leader that outlives a failover where it can, and its writes."""

    def __init__(self, connection: BoundedConnection) -> None:
        self._connection = connection
        self._acknowledged: list[int] = []

    @classmethod
    async def open(cls, url: str) -> StaleWriter:
        """Connects to the leader while it is well."""
        settings = PoolSettings()
        parameters = connection_string(url, schema="public", settings=settings, application="stale writer")
        connection = await BoundedConnection.connect(parameters, autocommit=True)
        await connection.execute("CREATE TABLE IF NOT EXISTS stale_writes (number bigint)")
        return cls(connection)

    async def run(self) -> None:
        """Writes as long as the connection lives, until cancelled; a commit that waits is given up as by a deadline."""
        while not self._connection.closed:
            number = time.time_ns()
            with suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(_HANGS_S):
                    await self._connection.execute("INSERT INTO stale_writes VALUES (%s)", (number,))
                self._acknowledged.append(number)
            await asyncio.sleep(_AGAIN_S)

    async def lost(self, url: str) -> int:
        """Closes the connection; returns how many acknowledged writes the cluster does not have."""
        self._connection.discard()
        found = await asyncio.to_thread(found_in, url, "SELECT number FROM stale_writes")
        return sum(str(number) not in found for number in self._acknowledged)
