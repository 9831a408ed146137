"""A suite whose agreements are those of the database, and an admin of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from ridehail_clients import Agreement, AgreementRecord, AsyncAdminEulasClient
from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.tasks import TaskQueue
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.eulas.admin.resign_store import ResignStore
from ridehail_servers.eulas.admin.store import AdminStore
from ridehail_servers.eulas.admin.tasks import ResignTask
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.harness import DAY, EULAS, Harness, harness, write_eulas
from tests.support.waiting import until

IN_DATABASE = {"EULAS_SOURCE": "database", "LOCALES": ["en"]}
ACTOR = "anna"
IMPORTED = len(EULAS) + 1  # and the anchor


def new_agreement(eula_id: str = "fresh", **fields: Any) -> Agreement:
    """Returns an agreement that keeps all rules."""
    given: dict[str, Any] = {
        "type": "rules",
        "revision": 1,
        "ttl_s": 86_400,
        "rejectable": False,
        "title": {"en": eula_id},
    }
    return Agreement(eula_id=eula_id, **given | fields)


@dataclass
class AdminHarness:
    """A running suite with the small catalogue in its database."""

    at: Harness
    admin: AsyncAdminEulasClient

    async def reset(self) -> None:
        """Stores what is in the file, and nothing else."""
        await self.at.reset()
        await self.admin.import_eulas(actor="seed")
        await until(lambda: catalogue_version() == IMPORTED)

    async def in_force(self, version: int) -> None:
        """Waits until the server has the catalogue of a change, or a later one."""
        await until(lambda: (catalogue_version() or 0) >= version)

    def edit_file(self, **settings: Any) -> None:
        """Writes `eulas.yaml` with other settings."""
        write_eulas(self.at.suite.settings.config_dir, EULAS, **(IN_DATABASE | settings))

    async def record(self, eula_id: str) -> AgreementRecord:
        records = await self.admin.list_eula_records(with_withdrawn=True)
        return next(one for one in records if one.agreement.eula_id == eula_id)

    async def update(self, eula_id: str, **changes: Any) -> AgreementRecord:
        """Changes fields of an agreement, and returns once that is in force."""
        record = await self.record(eula_id)
        changed = await self.admin.update_eula(
            agreement=replace(record.agreement, **changes), expected_version=record.version, actor=ACTOR
        )
        await self.in_force(changed.version)
        return changed

    async def mark(self, version: int, batch_size: int = 3) -> None:
        """Does the run of a change, as a worker does."""
        await self.task(batch_size).run(version)

    def task(self, batch_size: int = 3) -> ResignTask:
        database = self.at.suite.database("eulas")
        return ResignTask(
            database,
            ResignStore(),
            TaskQueue("eulas", database),
            lambda: self.at.clock[0],
            lambda: BatchThrottle(batch_size, 0),
        )

    def start_update(self, eula_id: str, **changes: Any) -> asyncio.Task[AgreementRecord]:
        return asyncio.create_task(self.update(eula_id, **changes))

    async def save_as_of(self, version: int, uid: str, connection: Connection | None = None) -> None:
        """Accepts `surge_il` as a process does that has the catalogue of an earlier change."""
        now = self.at.clock[0]
        decision = Decision("surge_il", Status.ACCEPTED, 1, now + DAY, now)
        if connection is not None:
            await EulasStore().save(connection, uid, [decision], "admin", version)
            return
        async with self.at.suite.database("eulas").connection() as own:
            await EulasStore().save(own, uid, [decision], "admin", version)

    def start_save_as_of(self, version: int, uid: str) -> asyncio.Task[None]:
        return asyncio.create_task(self.save_as_of(version, uid))

    async def mark_in(self, connection: Connection, version: int) -> None:
        """Marks the first batch of a run in the transaction of a connection."""
        store = ResignStore()
        locked = await store.lock_run(connection, version)
        assert locked is not None
        await store.mark_batch(connection, locked[0], "", 100, self.at.clock[0])

    @asynccontextmanager
    async def held_change(self) -> AsyncIterator[Gate]:
        """Holds changes back before their commit, with all their locks, until the gate is opened."""
        gate, notify = Gate(), AdminStore.notify

        async def held(store: AdminStore, connection: Connection) -> None:
            await notify(store, connection)
            gate.arrived.set()
            await gate.passes.wait()

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(AdminStore, "notify", held)
            yield gate

    async def need_resign(self, eula_id: str) -> list[object]:
        """Returns the users who have to decide again on an agreement."""
        query = "SELECT yandex_uid FROM eulas.users WHERE eula_id = %s AND need_resign ORDER BY 1"
        return [uid for (uid,) in await self.at.suite.rows(query, eula_id)]


class Gate:
    """Where something waits until the test lets it pass."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.passes = asyncio.Event()


def catalogue_version() -> float | None:
    return REGISTRY.get_sample_value("ridehail_eulas_catalogue_version")


def ticket_of(at: Harness, source: str = "admin") -> Callable[[str], str]:
    return TicketIssuer(at.suite.keys, source, clock=lambda: at.clock[0])


@asynccontextmanager
async def admin_harness(*, database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[AdminHarness]:
    """Runs eulas by the database for the length of the block."""
    async with (
        harness(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, **IN_DATABASE) as at,
        AsyncAdminEulasClient(at.suite.address, ticket=ticket_of(at)) as admin,
    ):
        yield AdminHarness(at, admin)
